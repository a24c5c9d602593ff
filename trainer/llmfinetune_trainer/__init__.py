"""Fine-tunes language models from one run configuration: prepare, train, evaluate, export."""

__version__ = "0.1.0"
