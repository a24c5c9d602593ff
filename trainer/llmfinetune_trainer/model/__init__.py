"""The model: loading its frozen base, attaching adapters, attention over packed documents."""
