"""ClickHouse's HTTP protocol in front of the engine.

One request is: read the options, open a session, run the statement or feed the INSERT, answer. Engine calls block, so
they run in a pool of threads, while the event loop reads and writes the bodies. Reads and writes have lanes of their
own, so that no crowd of readers keeps rows from landing, and a read ends when its client goes.

**Invariant:** the engine's answer is never changed, only compressed.
**Invariant:** a failure before the first byte of the answer has a status and a code; after it, the connection breaks
off, so that no client takes a torn answer for a whole one.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keeprate.deploy.store.codec import Coder, decoder, encoder
from keeprate.deploy.store.engine import Engine, EngineError, Session, Summary
from keeprate.deploy.store.request import (
    DoorError,
    Insert,
    Options,
    Tokens,
    assignments,
    content_type,
    form_fields,
    has_answer,
    may_stream,
    may_write,
    output_format,
    read_options,
    refusal,
    split_insert,
)
from keeprate.deploy.store.rights import Limits
from keeprate.deploy.store.token import own_token
from keeprate.sinks.store.local_store import READER_TOKEN_FILE

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")
READS_AT_ONCE = 12
WRITES_AT_ONCE = 6
# For what takes a moment: opening and closing sessions, taking pieces of a body, ending queries.
_SPARE_THREADS = 6
_WAIT_FOR_TURN_S = 10
_KILL_EVERY_S = 0.5
_CLIENT_GONE = 499
_CANCELLED = 394
_TOO_MANY_QUERIES = 202
# An INSERT's data go to the engine in pieces of at least this, so that a body of any size needs little memory.
_PIECE_BYTES = 1 << 20
_STOP_WITHIN_S = 10
_BAD_REQUEST = (6, 15, 25, 26, 27, 36, 38, 41, 43, 44, 53, 62, 69, 70, 72, 117, 376, 441, 456, 457, 675, 676)
_NOT_FOUND = (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336)
# As ClickHouse maps them (HTTPHandler, exceptionCodeToHTTPStatus); what is not here is 500.
_STATUS_BY_CODE = (
    dict.fromkeys(_BAD_REQUEST, 400)
    | dict.fromkeys(_NOT_FOUND, 404)
    | {48: 501, 159: 408, 164: 403, 209: 503, 497: 403}
)


class Door:
    """The protocol over one engine. `answer` takes any request for it that brings the token."""

    def __init__(self, engine: Engine, tokens: Tokens, answer_within_s: float) -> None:
        """answer_within_s: how long an answer may be on its way; a reader that takes longer is left."""
        self._engine = engine
        self._tokens = tokens
        self._answer_within_s = answer_within_s
        threads = READS_AT_ONCE + WRITES_AT_ONCE + _SPARE_THREADS
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._writes = asyncio.Semaphore(WRITES_AT_ONCE)

    def close(self) -> None:
        """Wait for what still runs, then close the engine."""
        self._pool.shutdown()
        self._engine.close()

    async def answer(self, request: Request) -> Response:
        """Do what a request says. Refusals of the engine and of this door become responses with their code."""
        if (reason := refusal(request.headers)) is not None:
            return PlainTextResponse(reason + "\n", 403)
        options = Options()
        try:
            arguments = request.query_params.multi_items()
            writes = may_write(request.headers, dict(arguments), self._tokens) and request.method == "POST"
            body = _pieces(request)
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                form = b"".join([piece async for piece in body])
                arguments += form_fields(request.headers["content-type"], form)
            options = read_options(arguments, request.headers)
            response = await self._in_session(request, options, body, read_only=not writes)
        except (EngineError, DoorError) as error:
            await _drain(request)
            response = _failure(error)
        response.headers["X-ClickHouse-Query-Id"] = options.query_id or str(uuid.uuid4())
        response.headers["X-ClickHouse-Timezone"] = options.settings.get("session_timezone", self._engine.timezone)
        response.headers.setdefault("Content-Type", content_type(response.headers.get("X-ClickHouse-Format", "TSV")))
        response.headers["X-ClickHouse-Server-Display-Name"] = "keeprate-store"
        return response

    async def _in_session(
        self, request: Request, options: Options, body: AsyncIterator[bytes], read_only: bool
    ) -> Response:
        session = await self._run(self._open, options, read_only)
        response: Response | None = None
        try:
            response = await self._execute(session, request, options, body)
            return response
        finally:
            # In the pool and not awaited: it must happen even if this task is cancelled, and after the last call.
            if not isinstance(response, _Blocks):
                self._pool.submit(session.close)

    async def _execute(
        self, session: Session, request: Request, options: Options, pieces: AsyncIterator[bytes]
    ) -> Response:
        statement = options.query.encode()
        first = await anext(pieces, b"")
        split = split_insert(statement, bool(first)) if statement else split_insert(first, False)
        if split is not None:
            insert, data = split
            return await self._insert(request, session, insert, data + first if statement else data, pieces)
        rest = b"".join([first, *[piece async for piece in pieces]])
        text = _text(b"\n".join(filter(None, [statement, rest])))
        await self._check(text)
        return await self._answer(session, request, options, text)

    async def _answer(self, session: Session, request: Request, options: Options, text: str) -> Response:
        statement = text.encode()
        answer_format = output_format(statement, options.default_format)
        encode, headers = _encoding(request, options)
        reads = has_answer(statement)
        if reads:
            headers["X-ClickHouse-Format"] = answer_format
        if may_stream(statement, answer_format) and not options.wait_end_of_query:
            return await self._stream(session, request, text, options, encode, headers)
        async with self._turn(self._reads if reads else self._writes):
            work = self._begin(session.run, text, options.default_format)
            answer, summary = await (self._unless_gone(request, session, work) if reads else work)
        # What is not compressed needs no thread for that.
        is_work = bool(answer) and "Content-Encoding" in headers
        encoded = await self._run(lambda: encode(answer) + encode.flush()) if is_work else answer
        return Response(encoded, headers=headers | _summary_header(summary))

    async def _check(self, statement: str) -> None:
        # Programs ask the same ones again, and the way to a thread and back is longer than that look.
        if not self._engine.has_passed(statement):
            await self._run(self._engine.check, statement)

    def _open(self, options: Options, read_only: bool) -> Session:
        return self._engine.session(options.database, assignments(options, read_only))

    async def _insert(
        self, request: Request, session: Session, insert: Insert, data: bytes, pieces: AsyncIterator[bytes]
    ) -> Response:
        await self._check(insert.head)
        await self._run(session.begin_insert, insert.head, insert.format, data)
        async for piece in pieces:
            await self._run(session.add, piece)
        async with self._turn(self._writes):
            # What was begun is finished though its client goes. What waited for its turn is not begun for nobody:
            # whoever sent it may look whether it is under way, and would not see it.
            if await request.is_disconnected():
                raise DoorError("the client went away", _CLIENT_GONE, _CANCELLED)
            return Response(headers=_summary_header(await self._run(session.finish_insert)))

    async def _stream(
        self, session: Session, request: Request, text: str, options: Options, encode: Coder, headers: dict[str, str]
    ) -> Response:
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._turn(self._reads))
            # What is wrong with a query shows when its first block is due, in time for a status.
            begun = self._begin(session.begin_stream, text, options.default_format)
            first = await self._unless_gone(request, session, begun)
            held = turn.pop_all()
        block = first

        async def body() -> AsyncGenerator[bytes]:
            nonlocal block
            while block is not None:
                yield encode(block)
                block = await self._run(session.next_block)
            yield encode.flush()

        async def over() -> None:
            self._pool.submit(partial(self._end, session) if block is not None else session.close)
            await held.aclose()

        return _Blocks(body(), headers, over, self._answer_within_s)

    def _end(self, session: Session) -> None:
        # Closing waits for the call that is under way, which may be long without a word to its session's query.
        self._engine.kill(session)
        session.close()

    @asynccontextmanager
    async def _turn(self, lane: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(lane.acquire(), _WAIT_FOR_TURN_S)
        except TimeoutError:
            raise DoorError("too many queries run at once: try again in a moment", 503, _TOO_MANY_QUERIES) from None
        try:
            yield
        finally:
            lane.release()

    async def _unless_gone(self, request: Request, session: Session, work: "asyncio.Future[_Result]") -> _Result:
        """The result of a call of the engine; where the client goes before it is there, the call is ended."""
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            gone.cancel()
        # Again and again: the query may not have begun yet when it is first looked for.
        while not work.done():
            await self._run(self._engine.kill, session)
            await asyncio.wait((work,), timeout=_KILL_EVERY_S)
        work.exception()
        raise DoorError("the client went away", _CLIENT_GONE, _CANCELLED)

    def _begin(self, call: Callable[[*_Args], _Result], *args: *_Args) -> "asyncio.Future[_Result]":
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def _run(self, call: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
        return await self._begin(call, *args)


class _Blocks(StreamingResponse):
    """An answer sent block by block, and what to do when it is over, be it sent, broken or given up."""

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        headers: dict[str, str],
        over: Callable[[], Awaitable[None]],
        within_s: float,
    ) -> None:
        super().__init__(content, headers=headers)
        self._over = over
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                await super().__call__(scope, receive, send)
        finally:
            await self._over()


def application(engine: Engine, tokens: Tokens, answer_within_s: float) -> Starlette:
    """The protocol over `engine` as an ASGI application, which closes the engine when it shuts down."""
    door = Door(engine, tokens, answer_within_s)

    async def ping(request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(door.close)

    routes = [Route("/ping", ping), Route("/", door.answer, methods=["GET", "POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


def run(path: Path, host: str, port: int, limits: Limits) -> None:
    """Own the directory and serve it until SIGTERM or SIGINT; running queries get some seconds to finish.

    Raises ValueError for a token that others could have read.
    """
    tokens = Tokens(own_token(path), own_token(path, READER_TOKEN_FILE))
    engine = Engine(path, limits)
    config = uvicorn.Config(
        application(engine, tokens, 2 * limits.query_s),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
    )
    uvicorn.Server(config).run()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _text(statement: bytes) -> str:
    try:
        return statement.decode()
    except UnicodeDecodeError as error:
        raise DoorError(f"the statement is not UTF-8: {error.reason} at byte {error.start}", 400, 62) from error


async def _pieces(request: Request) -> AsyncGenerator[bytes]:
    decode = decoder(request.headers.get("content-encoding"))
    pending: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        pending.append(decode(chunk))
        size_bytes += len(pending[-1])
        if size_bytes >= _PIECE_BYTES:
            yield b"".join(pending)
            pending, size_bytes = [], 0
    decode.flush()
    if size_bytes:
        yield b"".join(pending)


async def _drain(request: Request) -> None:
    # A client that is still sending would see a broken connection instead of the error.
    try:
        async for _ in request.stream():
            pass
    except (RuntimeError, ClientDisconnect):
        return


def _encoding(request: Request, options: Options) -> tuple[Coder, dict[str, str]]:
    wanted = options.settings.get("enable_http_compression", "0") not in ("0", "false")
    encode, name = encoder(request.headers.get("accept-encoding") if wanted else None)
    return encode, {} if name is None else {"Content-Encoding": name}


def _summary_header(summary: Summary) -> dict[str, str]:
    counts = {
        "read_rows": summary.read_rows,
        "read_bytes": summary.read_bytes,
        "written_rows": summary.written_rows,
        "written_bytes": summary.written_bytes,
        "result_rows": summary.result_rows,
        "elapsed_ns": round(summary.elapsed_s * 1e9),
    }
    return {"X-ClickHouse-Summary": json.dumps({name: str(count) for name, count in counts.items()})}


def _failure(error: EngineError | DoorError) -> Response:
    if isinstance(error, EngineError):
        text, status = str(error), _STATUS_BY_CODE.get(error.code, 500)
    else:
        text, status = f"Code: {error.code}. DB::Exception: {error}", error.status
    headers = {"X-ClickHouse-Exception-Code": str(error.code)} | ({"Retry-After": "1"} if status == 503 else {})
    return PlainTextResponse(text + "\n", status, headers)
