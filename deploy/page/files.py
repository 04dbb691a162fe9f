"""What browsers load: the page's own files, and plotly.js out of the installed package."""

import gzip
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class Files(StaticFiles):
    """The files of `static/`. Browsers ask each time whether one changed, and its ETag says that it did not."""

    def __init__(self) -> None:
        super().__init__(packages=[("keeprate.deploy.page", "static")], html=True)

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        """As StaticFiles has it, with a rule for caches."""
        response = super().file_response(*arguments, **more)
        response.headers["cache-control"] = "no-cache"
        return response


@cache
def charts_name() -> str:
    """The address of plotly.js. It names the version, so that a browser that has it never asks again."""
    try:
        return f"plotly-{version('plotly')}.js"
    except PackageNotFoundError:
        return "plotly.js"


async def charts(request: Request) -> Response:
    """plotly.js, which is found without the seconds that importing it takes."""
    compressed = await anyio.to_thread.run_sync(_plotly)
    headers = {"cache-control": _FOR_GOOD, "vary": "accept-encoding"}
    accepted = "gzip" in request.headers.get("accept-encoding", "")
    if accepted:
        return Response(compressed, headers={**headers, "content-encoding": "gzip"}, media_type="text/javascript")
    return Response(gzip.decompress(compressed), headers=headers, media_type="text/javascript")


@cache
def _plotly() -> bytes:
    """Compressed once for all browsers: five megabytes take a third of a second."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise HTTPException(404, "the charts need plotly: pip install 'keeprate[page]'")
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return gzip.compress(path.read_bytes(), 6)
