"""The store's token: made at the first start, in a file that only this user can read."""

import os
import secrets
from pathlib import Path
from urllib.parse import quote

from keeprate.deploy.local.process import private_directory
from keeprate.sinks.store.local_store import TOKEN_FILE, USER


def own_token(directory: Path, name: str = TOKEN_FILE) -> str:
    """A token of the store in `directory`, made with the directory where there is none yet.

    name: which of the two, that of who may do all or that of who only reads.

    Raises ValueError for one that other users could have read.
    """
    private_directory(directory)
    path = directory / name
    if not path.exists():
        # Whole or not there, whoever else is making one at this moment.
        fresh = directory / f"{name}.{secrets.token_hex(8)}"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: other users can read it; remove it, and the next start makes a new one")
    return path.read_text().strip()


def url_with_token(directory: Path, port: int, path: str = "", name: str = TOKEN_FILE) -> str:
    """The address of the store in `directory`, with its user and one of its tokens."""
    return f"http://{USER}:{quote(own_token(directory, name), safe='')}@127.0.0.1:{port}{path}"
