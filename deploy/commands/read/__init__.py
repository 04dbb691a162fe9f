"""Commands that read and tell. What they may change is in `upkeep`, but for the dead letters' own states."""
