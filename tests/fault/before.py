"""The version before this one, from this repository's history: its code, with the packages that are installed here."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from tests.fault.nest import Nest
from tests.fault.skipped import Skipped

COMMIT: Final = "9835ddc06e4283dae1754f7a80434711aa3789c5"
"""What an upgrade comes from: the commit of the newest release. As there is none yet, one of some migrations ago."""
_NESTLINGS: Final = ("tests.fault.sink_child", "tests.fault.worker_child")
_ROOT: Final = Path(__file__).parents[2]


class Before:
    """Its code, in a directory. Raises Skipped where the clone has no history, as an archive of the source."""

    def __init__(self, directory: Path) -> None:
        git = ["git", "-C", str(_ROOT), "archive", "--format=tar", COMMIT]
        try:
            packed = subprocess.run(git, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise Skipped(f"{COMMIT[:7]}, the version before, is not in this clone; git fetch --unshallow") from error
        code = directory / "before"
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(code, filter="data")
        # Safe: without the current directory, which holds this version's packages of the same names.
        self._env = {"PYTHONPATH": f"{code / '.editable'}:{code}", "PYTHONSAFEPATH": "1"}
        self.nest = Nest(code, _NESTLINGS, self._env)

    def migrate(self, store_url: str) -> None:
        """Make a database as it had it."""
        argv = [sys.executable, "-m", "keeprate.deploy.cli", "migrate", "--store", store_url]
        run = subprocess.run(
            argv, env={**os.environ, **self._env}, capture_output=True, text=True, check=False, timeout=120
        )
        assert run.returncode == 0, run.stdout + run.stderr
