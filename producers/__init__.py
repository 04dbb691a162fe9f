"""Emitting: how events get from an app, a file or a repository's history into Kafka."""
