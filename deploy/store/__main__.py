"""`python -m keeprate.deploy.store --path DIR --port N`: the store as a command without the command line's extras."""

import argparse
from pathlib import Path

from keeprate.deploy.store import MEMORY_BYTES, QUERY_S, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m keeprate.deploy.store", description="Serve a chDB directory.")
    parser.add_argument("--path", type=Path, required=True, help="the directory of the data, made where it is missing")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--query-seconds", type=int, default=QUERY_S, help="what one query may take")
    parser.add_argument("--query-memory", type=int, default=MEMORY_BYTES, help="bytes that one query may take")
    given = parser.parse_args()
    try:
        serve(given.path, given.host, given.port, given.query_seconds, given.query_memory)
    except (ValueError, RuntimeError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
