"""The subcommands, a module each: `run` starts parts, `read` tells, `upkeep` changes, `importing` brings in.

Heavy imports stay inside the functions, so that `keeprate --help` is quick.
"""
