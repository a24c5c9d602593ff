"""The training engine: from prepared samples to trained adapters, the same on any number of workers."""
