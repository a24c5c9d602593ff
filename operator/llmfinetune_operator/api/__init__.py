"""The custom resource: its types, the manifests and the reference that are generated from them."""
