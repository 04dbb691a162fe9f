"""Who may send, and how much: what is decided before anything is made of a body.

access        by key, scope, page and machine; `keys` has the keys, `scopes` what they may say
limits        how much; `connections` how many and how slowly; `bodies` and `weight` what a body would cost
addresses     whose request it is; `cross_origin` what browsers are told
"""
