"""The token of this machine's own store: where it lies, and how a URL comes to have it.

`keeprate store` lets in who can read a file in its directory, which is this user alone. A URL on loopback that names no
user takes the token from there, so that commands and processes of one data directory find each other by themselves.
"""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from platformdirs import user_data_path

USER: Final = "keeprate"
TOKEN_FILE: Final = "token"
READER_TOKEN_FILE: Final = "reader-token"
"""Whoever has this one reads, and writes nothing."""
SETTINGS: Final = {
    # Looks for comparisons that follow from others, in a time that grows faster than the statement: of deriving
    # suggestions it was half, and it has found nothing in any statement of ours.
    "optimize_and_compare_chain": 0,
    # From an expression's third use on, machine code is made of it: half a second for a derivation, which then takes as
    # long as before where rows are few. An engine that lives on makes it of what is asked again and again.
    "min_count_to_compile_expression": 100,
    "min_count_to_compile_aggregate_expression": 100,
    "min_count_to_compile_sort_description": 100,
}
"""What an engine of ours is told unless a request says otherwise, behind the store's door and in a process."""
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def data_dir() -> Path:
    """What survives a restart of the local stack: `KEEPRATE_DATA_DIR`, by default the user's directory for data."""
    return Path(os.environ.get("KEEPRATE_DATA_DIR") or user_data_path("keeprate"))


def store_dir() -> Path:
    """The directory of the local store, as far as nobody chose another."""
    return data_dir() / "store"


def with_token(url: str) -> str:
    """The URL with the local store's token as its password, where it is on loopback and names nobody.

    Where there is no token, or none that this user may read, the URL is as it was: it may be another server's.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.username is not None:
        return url
    try:
        token = (store_dir() / TOKEN_FILE).read_text().strip()
    except OSError:
        return url
    return parts._replace(netloc=f"{USER}:{token}@{parts.netloc}").geturl()
