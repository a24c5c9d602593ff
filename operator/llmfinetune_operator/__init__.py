"""Operator of LLMFineTune: watches fine-tunes and moves the cluster, one step at a time, to what they ask for."""
