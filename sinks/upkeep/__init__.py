"""Upkeep: outcomes from facts again.

recompute  one part of it after the other, as `checks` and `replay` share it
replay     into `outcomes`, where they merge, or into a table beside it
"""
