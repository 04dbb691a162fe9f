"""The tables: numbered SQL files in `migrations/`, applied in order, forward only, by `migrate`."""
