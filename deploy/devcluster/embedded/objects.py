"""Objects that every embedded cluster has from the start: storage class, rights of CoreDNS and kube-proxy."""

from typing import Any

from devcluster.embedded.provisioner import storage_class

Object = dict[str, Any]


def base_objects() -> list[Object]:
    """Return all of them, ready to apply."""
    return [storage_class(), *dns_rights(), binding("kube-proxy", "system:node-proxier", "system:kube-proxy")]


def dns_rights() -> list[Object]:
    """Return the right to read what names are made of."""
    read = ["list", "watch"]
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "llmfinetune-dev:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
            ],
        },
        binding("coredns", "llmfinetune-dev:coredns", "system:coredns"),
    ]


def binding(name: str, role: str, user: str) -> Object:
    """Return the binding of a cluster role to a user."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"llmfinetune-dev:{name}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
