"""Fine-tunes in a queue: the operator against a real API server, beside a stand-in for Kueue."""
