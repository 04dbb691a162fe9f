"""ClickHouse's HTTP protocol in front of the engine.

One request is: read the options, open a session, run the statement or feed the INSERT, answer. Engine calls block, so
they run in a small pool of threads, while the event loop reads and writes the bodies.

**Invariant:** the engine's answer is never changed, only compressed.
**Invariant:** a failure before the first byte of the answer has a status and a code; after it, the connection breaks
off, so that no client takes a torn answer for a whole one.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
    Insert,
    Options,
    RequestError,
    content_type,
    form_fields,
    has_answer,
    may_stream,
    output_format,
    read_options,
    refusal,
    set_statement,
    split_insert,
)

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")
_QUERIES_AT_ONCE = 8
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
    """The protocol over one engine. `answer` takes any request for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(_QUERIES_AT_ONCE, thread_name_prefix="engine")

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
            body = _pieces(request)
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                form = b"".join([piece async for piece in body])
                arguments += form_fields(request.headers["content-type"], form)
            options = read_options(arguments, request.headers)
            response = await self._in_session(request, options, body)
        except (EngineError, RequestError) as error:
            await _drain(request)
            response = _failure(error)
        response.headers["X-ClickHouse-Query-Id"] = options.query_id or str(uuid.uuid4())
        response.headers["X-ClickHouse-Timezone"] = options.settings.get("session_timezone", self._engine.timezone)
        response.headers.setdefault("Content-Type", content_type(response.headers.get("X-ClickHouse-Format", "TSV")))
        response.headers["X-ClickHouse-Server-Display-Name"] = "keeprate-store"
        return response

    async def _in_session(self, request: Request, options: Options, body: AsyncIterator[bytes]) -> Response:
        session = await self._run(self._open, options, request.method != "POST")
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
            return await self._insert(session, insert, data + first if statement else data, pieces)
        rest = b"".join([first, *[piece async for piece in pieces]])
        statement = b"\n".join(filter(None, [statement, rest]))
        answer_format = output_format(statement, options.default_format)
        encode, headers = _encoding(request, options)
        if has_answer(statement):
            headers["X-ClickHouse-Format"] = answer_format
        if may_stream(statement, answer_format) and not options.wait_end_of_query:
            return await self._stream(session, statement, options, encode, headers)
        answer, summary = await self._run(session.run, statement.decode(), options.default_format)
        encoded = await self._run(lambda: encode(answer) + encode.flush()) if answer else b""
        return Response(encoded, headers=headers | _summary_header(summary))

    def _open(self, options: Options, read_only: bool) -> Session:
        session = self._engine.session()
        try:
            if options.database:
                session.run("USE `" + options.database.replace("\\", "\\\\").replace("`", "\\`") + "`")
            if (settings := set_statement(options, read_only)) is not None:
                session.run(settings)
        except BaseException:
            session.close()
            raise
        return session

    async def _insert(self, session: Session, insert: Insert, data: bytes, pieces: AsyncIterator[bytes]) -> Response:
        await self._run(session.begin_insert, insert.head, insert.format)
        if data:
            await self._run(session.add, data)
        async for piece in pieces:
            await self._run(session.add, piece)
        return Response(headers=_summary_header(await self._run(session.finish_insert)))

    async def _stream(
        self, session: Session, statement: bytes, options: Options, encode: Coder, headers: dict[str, str]
    ) -> Response:
        await self._run(session.begin_stream, statement.decode(), options.default_format)
        # What is wrong with a query shows when its first block is due, in time for a status.
        first = await self._run(session.next_block)

        async def body() -> AsyncGenerator[bytes]:
            block = first
            while block is not None:
                yield encode(block)
                block = await self._run(session.next_block)
            yield encode.flush()

        return _Blocks(body(), headers, lambda: self._pool.submit(session.close))

    async def _run(self, call: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)


class _Blocks(StreamingResponse):
    """An answer sent block by block, and what to do when it is over, be it sent, broken or given up."""

    def __init__(self, content: AsyncGenerator[bytes], headers: dict[str, str], over: Callable[[], object]) -> None:
        super().__init__(content, headers=headers)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


def application(engine: Engine) -> Starlette:
    """The protocol over `engine` as an ASGI application, which closes the engine when it shuts down."""
    door = Door(engine)

    async def ping(request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(door.close)

    routes = [Route("/ping", ping), Route("/", door.answer, methods=["GET", "POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


def run(path: Path, host: str, port: int) -> None:
    """Own the directory and serve it until SIGTERM or SIGINT; running queries get some seconds to finish."""
    engine = Engine(path)
    config = uvicorn.Config(
        application(engine),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
    )
    uvicorn.Server(config).run()


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


def _failure(error: EngineError | RequestError) -> Response:
    if isinstance(error, EngineError):
        text, status = str(error), _STATUS_BY_CODE.get(error.code, 500)
    else:
        text, status = f"Code: {error.code}. DB::Exception: {error}", error.status
    return PlainTextResponse(text + "\n", status, {"X-ClickHouse-Exception-Code": str(error.code)})
