"""The tables: numbered SQL files in `migrations/`, applied in order, forward only, by `migrate`; `placing` notes
which shard a database is."""
