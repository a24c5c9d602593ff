"""The embedded cluster: one node on this very machine, without Docker and without a container registry.

Everything listens on loopback or on the pod bridge; everything lies under one state folder.
"""
