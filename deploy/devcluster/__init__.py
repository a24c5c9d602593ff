"""A real Kubernetes for development, tests and the demo, whatever the machine has.

Three providers stand behind one command: the cluster of the user's kubeconfig, `kind` where a Docker
daemon answers, and an *embedded* cluster built from Go modules and Debian packages. The package uses
the standard library only, so that it runs before anything of this project is installed.
"""
