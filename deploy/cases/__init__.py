"""Suggestions as regression tests: made, exported, run, compared and gated, and what came of it.

`suite` is the form of a case, `making` makes cases of what the store has (`gathering`), and `formats` writes them for
other tools. `subjects` are what is tested, `checks` what must hold of an answer, `running` asks them side by side,
`runs` keeps what was found, `comparing` sets it beside the last time, `sending` tells it, and `story` is what the page
shows of it.

**Invariant:** what a generated pytest file needs (`suite`, `checks`, `subjects`) runs on the base install.
**Invariant:** an export holds what models and users wrote as data: nothing of it is code, a template or a path.
"""
