"""Faults of what is read: suggestions that are derived, sums that are cached, a definition that is swapped."""
