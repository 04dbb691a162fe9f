"""Kafka, as sinks read it: the one door (`client`), its failures by reaction (`errors`), where it stands (`positions`).

Nothing here knows the store.
"""
