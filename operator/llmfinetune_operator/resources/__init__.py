"""Pure builders of complete Kubernetes objects for server-side apply. Every call returns fresh values."""
