"""`keeprate cases`: suggestions that become tests, and what came of them."""
