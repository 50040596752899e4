"""Learn from the log of a running service."""
