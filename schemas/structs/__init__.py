"""The contract's events as structs: the fast way to read what the gate takes.

Needs the extra `worker`, `sink` or `collector`.

    forms    from the declaration of the events to structs and their checks
    reading  a record's value to a struct, a body of many to a list of them

**Invariant:** pydantic's declaration is the only one; what is here is made from it, and what is not understood of it
raises when it is made.
**Invariant:** no more is accepted here than there, and what is not accepted here is judged there.
"""
