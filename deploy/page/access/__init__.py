"""Who asks, of which apps they may see numbers, and what they may do there.

Entry points: `gate.Gate` stands before every route, and `gate.viewer` tells a route whom it let in. Inside: `viewer`
roles by app, `people` the file that grants them, `doors` by what somebody is known, `login` the routes of a login.

**Invariant:** a route that is not in `gate.PUBLIC` is reached by a viewer alone, and only for apps that they may see.
**Invariant:** what a request may read is in its question: `Selection.within` and `Reads.apps`.
"""
