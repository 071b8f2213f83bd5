"""The door: HTTP in, event durable, answer out."""
