"""The command line: `keeprate COMMAND`. Each command lives in a module of `commands/`."""

import sys


def main() -> None:
    """The console script. Says which extra is missing instead of showing a traceback."""
    try:
        from keeprate.deploy.commands.tree import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "platformdirs"):
            raise
        sys.exit(f"keeprate: the command line needs {error.name}: pip install 'keeprate[all]'")
    app()


if __name__ == "__main__":
    main()
