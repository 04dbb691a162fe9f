"""A fault that this machine cannot make: told with its reason, and never counted as survived."""


class Skipped(Exception):
    """The fault cannot be made on this machine; the text says why."""
