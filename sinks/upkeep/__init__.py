"""Upkeep: what rewrites the store on somebody's word.

replay        outcomes from facts again, by `recompute`
forget        a person taken out of the tables and kept out of what lands, in the words of `forget_sql`
dead_letters  what was refused, why, and what was done about it
"""
