"""What a process says of itself: how its metrics are declared. The declarations stand with what they count."""
