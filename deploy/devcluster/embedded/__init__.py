"""The embedded cluster: one node or two on this machine, without Docker and without a container registry.

Everything listens on loopback or on the pod bridge; everything lies under one state folder.
"""
