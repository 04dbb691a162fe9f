"""Commands that run a part until Ctrl-C."""
