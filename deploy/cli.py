"""The command line: `keeprate COMMAND`. Each command lives in a module of `commands/`."""

import os
import sys


def main() -> None:
    """The console script. Says which extra is missing instead of showing a traceback.

    What it and its children write holds what users and models wrote, so it is this user's alone.
    """
    os.umask(0o077)
    try:
        _run()
    except KeyboardInterrupt:
        # Also while it is loading, which takes a second: who changes their mind wants no traceback.
        sys.exit(130)


def _run() -> None:
    try:
        from keeprate.deploy.commands.tree import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "platformdirs"):
            raise
        sys.exit(f"keeprate: the command line needs {error.name}: pip install 'keeprate[all]'")
    from keeprate.producers.errors import SettingsError

    try:
        app()
    except SettingsError as error:
        sys.exit(f"keeprate: {error}")
    except (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        if error.filename is None:
            raise
        remedy = (
            "name a directory that you may write to: KEEPRATE_DATA_DIR, KEEPRATE_SPOOL_DIR, or the command's option"
        )
        sys.exit(f"keeprate: {error.filename}: {error.strerror}; {remedy}")


if __name__ == "__main__":
    main()
