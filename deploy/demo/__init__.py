"""The demonstration: a cluster, the operator, one real fine-tune followed to its end, and what it learned."""
