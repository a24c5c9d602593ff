"""How much the operator carries: many fine-tunes at once, against a real API server."""
