"""Every client of these tests spools to a directory of its own test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where clients spool that are not told otherwise."""
    path = tmp_path / "spool"
    monkeypatch.setenv("KEEPRATE_SPOOL_DIR", str(path))
    return path
