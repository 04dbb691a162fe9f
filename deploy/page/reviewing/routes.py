"""The desk over HTTP: what it shows by GET, what a reviewer does by POST. The gate keeps pages elsewhere from it."""

import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Final, Protocol, TypeVar

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keeprate.deploy.page.access.gate import require
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.exploring import addresses
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.reviewing.desk import Desk, GoneError, Reviewer
from keeprate.deploy.page.reviewing.who import reviewer_of
from keeprate.deploy.review.choosing import Item
from keeprate.deploy.review.saying import SaidError
from keeprate.deploy.review.sending import UnsentError
from keeprate.schemas.kinds import MAX_CHOICES

MOST_BYTES: Final = 1 << 20
_REMEDY: Final = "This page only reads. Start it with --reviews, and tell it where Kafka is: KEEPRATE_BROKERS."
OFF: Final = {"on": False, "remedy": _REMEDY}
"""The board of a page that takes no reviews."""
_OF_BOARD: Final = ("reviewer", "app")
_content = logging.getLogger("keeprate.content")

Answer = TypeVar("Answer")


class ReviewAsk(Protocol):
    """Asks in a thread: of equal keys at one time, once."""

    def __call__(self, request: Request, key: Hashable, question: Callable[[Reads], Answer], /) -> Awaitable[Answer]:
        """The answer of the question."""


class Reviews:
    """The routes under /api/review. desk: None where the page only reads."""

    def __init__(self, desk: Desk | None, ask: ReviewAsk) -> None:
        self._desk = desk
        self._ask = ask

    def routes(self) -> list[Route]:
        """One for each question, and one for each thing that a reviewer does."""
        done = {"claim": self._claim, "submit": self._submit, "skip": self._skip, "undo": self._undo}
        return [
            Route("/api/review", self._board),
            Route("/api/review/items/{app}/{generation_id}", self._item),
            *(Route(f"/api/review/{name}", handler, methods=["POST"]) for name, handler in done.items()),
        ]

    async def _board(self, request: Request) -> Response:
        """Queues with their progress, and what can be said of a suggestion."""
        given = request.query_params
        if (unknown := next((name for name in given if name not in _OF_BOARD), None)) is not None:
            raise HTTPException(400, f"{unknown[:60]!r} is no parameter; there are {', '.join(_OF_BOARD)}")
        if (desk := self._desk) is None:
            return _json(OFF)
        who, app = reviewer_of(request, given.get("reviewer", "")), given.get("app", "")
        key = ("board", who.id if who else "", app)
        return _json(await self._ask(request, key, lambda reads: desk.board(reads, who, app)))

    async def _item(self, request: Request) -> Response:
        """What a reviewer may see of a suggestion that they hold. That its texts were read is logged."""
        given = request.query_params
        desk, who, item = self._open(), _somebody(request, given), _item_of(request, {**given, **request.path_params})
        queue = given.get("queue", "")
        found = await self._do(request, lambda reads: desk.item(reads, who, queue, item))
        if found is None:
            raise HTTPException(404, "the store holds no event of this generation")
        if not found["withheld"]:
            reader = addresses.reader(request)
            _content.info("content of %s %s was read by %s to review it", item.app, item.generation_id, reader)
        return _json(found)

    async def _claim(self, request: Request) -> Response:
        """Take what is to be done in a queue, now and next."""
        desk, said, who = await self._said(request)
        queue, app = _text(said, "queue"), _text(said, "app")
        return _json(await self._do(request, lambda reads: desk.claim(reads, who, queue, app)))

    async def _submit(self, request: Request) -> Response:
        """Say what a suggestion is worth: it is sent as events."""
        desk, said, who = await self._said(request)
        queue, item = _text(said, "queue"), _item_of(request, said)
        return _json(await self._do(request, lambda reads: desk.submit(reads, who, queue, item, said)))

    async def _skip(self, request: Request) -> Response:
        """Leave a suggestion to others."""
        desk, said, who = await self._said(request)
        queue, item = _text(said, "queue"), _item_of(request, said)
        return _json(await self._do(request, lambda reads: desk.skip(reads, who, queue, item)))

    async def _undo(self, request: Request) -> Response:
        """Take back what was done last in a queue."""
        desk, said, who = await self._said(request)
        queue = _text(said, "queue")
        return _json(await self._do(request, lambda reads: desk.undo(reads, who, queue)))

    def _open(self) -> Desk:
        if self._desk is None:
            raise HTTPException(403, _REMEDY)
        return self._desk

    async def _said(self, request: Request) -> tuple[Desk, Mapping[str, Any], Reviewer]:
        desk = self._open()
        said = await _body(request)
        return desk, said, _somebody(request, said)

    async def _do(self, request: Request, question: Callable[[Reads], Json | None]) -> Json | None:
        try:
            # Nobody shares it: what two people do at once is done twice.
            return await self._ask(request, object(), question)
        except SaidError as error:
            raise HTTPException(400, str(error)) from error
        except GoneError as error:
            raise HTTPException(409, str(error)) from error
        except UnsentError as error:
            raise HTTPException(503, str(error)) from error


async def _body(request: Request) -> Mapping[str, Any]:
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > MOST_BYTES:
            raise HTTPException(413, f"a review has {MOST_BYTES} bytes at most")
    try:
        # It refuses what is nested deeper than 200 and half of a character, which Python's own reader takes or dies of.
        said: Any = from_json(found, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise HTTPException(400, "the body is a JSON object")
    return said


def _somebody(request: Request, said: Mapping[str, Any]) -> Reviewer:
    who = reviewer_of(request, _text(said, "reviewer"))
    if who is None:
        raise HTTPException(400, "reviewer: say who you are, so that two people are two")
    return who


def _item_of(request: Request, said: Mapping[str, Any]) -> Item:
    """The suggestion that is named. Raises HTTPException, also where whoever asks may not review its app."""
    app, generation_id = _text(said, "app"), _text(said, "generation_id").lower()
    index = str(said.get("choice_index", 0))
    if not addresses.is_one(app, generation_id):
        raise HTTPException(400, "app, generation_id: name the suggestion, as the claim did")
    if not (index.isascii() and index.isdigit() and len(index) < 3 and int(index) < MAX_CHOICES):
        raise HTTPException(400, f"choice_index: {index[:20]!r} is not from 0 to {MAX_CHOICES - 1}")
    require(request, app, "reviewer")
    return Item(app, generation_id, int(index))


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name) or ""
    if not isinstance(value, str):
        raise HTTPException(400, f"{name}: give a text")
    return value


def _json(content: Json | None) -> Response:
    return JSONResponse(content, headers={"cache-control": "no-store"})
