"""The only place that talks to the API server, apart from the watches, which kopf runs."""

from llmfinetune_operator.cluster.client import KubernetesCluster
from llmfinetune_operator.cluster.connection import Connection, load_configuration

__all__ = ["Connection", "KubernetesCluster", "load_configuration"]
