"""The subcommands, a module each. Heavy imports stay inside the functions, so that `keeprate --help` is quick."""
