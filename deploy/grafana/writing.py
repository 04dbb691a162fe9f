"""The dashboards as files: what Grafana is provisioned with."""

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from keeprate.deploy.grafana import folder
from keeprate.deploy.grafana.boards import clients, drift, pipeline, quality, releases

BOARDS: Final = {
    "quality": quality.BOARD,
    "releases": releases.BOARD,
    "drift": drift.BOARD,
    "pipeline": pipeline.BOARD,
    "clients": clients.BOARD,
}


def texts() -> dict[str, str]:
    """Each dashboard as JSON, by the name of its file."""
    encoder = JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False)
    return {f"{name}.json": encoder.encode(board.build()) + "\n" for name, board in BOARDS.items()}


def write(directory: Path) -> list[Path]:
    """Write every dashboard into a directory, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts().items():
        path = directory / name
        path.write_text(text, "utf-8")
        paths.append(path)
    return paths


def main() -> None:
    """Write the dashboards of this checkout anew."""
    write(Path(folder()) / "dashboards")
