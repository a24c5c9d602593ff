"""Operator of LLMFineTune: watches fine-tunes and moves the cluster, step by step, to what they ask for."""
