"""How the engine scales over processes of one machine."""
