"""Erasure: what is stored of a person is rewritten, and the sink rewrites what still comes.

forget      the erasure itself, and the watch that the sink keeps
statements  what `schemas.forgotten` does, in ClickHouse's words
"""
