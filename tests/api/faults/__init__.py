"""What the operator makes of a bad API server and of its own sudden death, on a real kube-apiserver."""
