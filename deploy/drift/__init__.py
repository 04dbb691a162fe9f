"""What the drift detector watches, as a list to read."""
