"""The questions under /api/ over HTTP: who asks what of which selection, in which lane, and what is logged of it."""

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.cases.gathering import Gathered
from keeprate.deploy.page import happenings
from keeprate.deploy.page.access.gate import viewer
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.api.questions import OWN, QUESTIONS
from keeprate.deploy.page.exploring import addresses, listed, prompts, sheet, suites, tables
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.reviewing.blind import without
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.reviewing.who import known_reviewer
from keeprate.deploy.page.selection import Selection, collected, parse
from keeprate.deploy.page.source import Source
from keeprate.deploy.page.turns import Turns
from keeprate.sinks.reading.lists.listing import Page, Place
from keeprate.sinks.reading.voices import Scales

# What counts may take seconds; what shows single facts is quick, and is not to wait for it.
_COUNTING: Final = {"at_once": 6, "waiting": 24}
_FACTS: Final = {"at_once": 4, "waiting": 64}
_WAIT_S: Final = 10.0
_QUICK: Final = frozenset({"status", "feedback", "intake", "operations", "arrival"})
_content = logging.getLogger("keeprate.content")

Answer = TypeVar("Answer")


class Api:
    """The questions under /api/. They run in a few threads, and share what they read."""

    def __init__(
        self,
        source: Source,
        now: Callable[[], datetime],
        trace_url: str,
        desk: Desk | None,
        alertmanager: Alertmanager | None = None,
    ) -> None:
        self._source = source
        self._alertmanager = alertmanager
        self._desk = desk
        self._trace_url = trace_url
        self._now = now
        self._scales = desk.settings.scales if desk else Scales()
        self._recent = Recent(time.monotonic)
        self._counting = Turns(**_COUNTING, wait_s=_WAIT_S)
        self._facts = Turns(**_FACTS, wait_s=_WAIT_S)

    async def answer(self, request: Request, name: str) -> Response:
        return _json(await self._answer(request, name))

    async def _answer(self, request: Request, name: str) -> Json | None:
        reads, selection = await self._known(request, name)
        lane = self._facts if name in _QUICK else self._counting
        found = await lane.ask((reads.sight, name, selection), lambda: QUESTIONS[name](reads, selection))
        return without(found, held) if (held := await self._held(request)) else found

    async def _selection(self, request: Request, name: str) -> Selection:
        """What a request asks for, of the apps alone that whoever asks may see."""
        return (await self._known(request, name))[1]

    async def _known(self, request: Request, name: str) -> tuple[Reads, Selection]:
        """The same, and what was read to know it, so that its answer does not read it again."""
        asked = parse(collected(request.query_params.multi_items()), OWN.get(name, ()))
        given = asked.within(viewer(request).sight.apps)
        return await self._ask(
            request, self._facts, ("known", given), lambda reads: (reads, happenings.known(reads, given))
        )

    async def sheet(self, request: Request) -> Response:
        """A list as CSV, page after page, so that its length takes time and no memory."""
        selection = await self._selection(request, "suggestions")

        async def page_from(place: Place | None) -> Page:
            asked = listed.from_on(selection, place, listed.MOST_ROWS)
            return await self._ask(
                request, self._counting, ("sheet", asked), lambda reads: listed.rows_of(reads, asked)
            )

        async def text(found: Page) -> AsyncIterator[str]:
            yield sheet.head()
            while True:
                held = await self._held(request)
                yield sheet.lines(without([listed.row_json(row) for row in found.rows], held))
                if found.next is None:
                    break
                found = await page_from(found.next)

        first = text(await page_from(None))
        return StreamingResponse(first, headers=_attached("suggestions"), media_type="text/csv")

    async def table(self, request: Request, name: str) -> Response:
        """What a chart or a list shows, as CSV."""
        columns, rows = tables.table(name, await self._answer(request, tables.TABLES[name][0]))
        return Response(
            sheet.head(columns) + sheet.lines(rows, columns), headers=_attached(name), media_type="text/csv"
        )

    async def meta(self, request: Request) -> Response:
        """What can be chosen, and what each term means."""
        return _json(await self._ask(request, self._facts, "meta", happenings.meta))

    async def generation(self, request: Request) -> Response:
        """One generation and every event about it. That its texts were read is logged."""
        app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
        if not addresses.is_one(app, generation_id):
            raise HTTPException(404, "no such suggestion: an id is a UUID, as the lists have it")
        key = ("generation", app, generation_id)
        found = await self._ask(
            request, self._facts, key, lambda reads: happenings.generation(reads, app, generation_id)
        )
        if found is None:
            raise HTTPException(404, "the store holds no event of this generation")
        if not found["withheld"]:
            self._log(request, [(app, generation_id)])
        if (desk := self._desk) is not None and (who := known_reviewer(request)) is not None:
            found = without(found, await self._held(request) - {generation_id})
            if who.may(app):
                story = found
                found = await self.quickly(
                    request, object(), lambda reads: desk.story(reads, who, app, generation_id, story)
                )
        return _json(found | {"trace_url": addresses.trace_link(self._trace_url, found["generation"])})

    async def _held(self, request: Request) -> frozenset[str]:
        """The generations that whoever asks is to judge; none where nobody is asked who they are."""
        desk, who = self._desk, known_reviewer(request)
        if desk is None or who is None:
            return frozenset()
        return await self.quickly(request, ("held", who.id), lambda reads: desk.held(reads, who))

    async def suite(self, request: Request) -> Response:
        """A list as a suite of test cases. It reads the content of each suggestion, and each is logged."""
        selection = await self._selection(request, "cases.jsonl")
        form = suites.form_of(selection)
        return await self._cases(request, form, lambda reads: suites.page_of(reads, selection))

    async def case(self, request: Request) -> Response:
        """One suggestion as a suite."""
        app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
        if not addresses.is_one(app, generation_id):
            raise HTTPException(404, "no such suggestion: an id is a UUID, as the lists have it")
        form = suites.form_named(request.query_params.get("format", ""))
        if generation_id in await self._held(request):
            raise HTTPException(409, "you hold this suggestion in Review: judge or skip it first")
        return await self._cases(request, form, lambda reads: suites.page_of_one(reads, app, generation_id))

    async def prompts(self, request: Request) -> Response:
        """The prompts of a release and of what it replaced, word by word. It reads content, and each is logged."""
        selection, seen = await self._selection(request, "prompts"), list[tuple[str, str]]()
        found = await self._ask(
            request,
            self._counting,
            object(),
            lambda reads: prompts.prompts(
                reads, selection, lambda app, generation_id: seen.append((app, generation_id))
            ),
        )
        self._log(request, seen)
        return _json(found)

    async def _cases(self, request: Request, form: str, look: Callable[[Reads], Page]) -> Response:
        base, seen, held = str(request.base_url), list[tuple[str, str]](), await self._held(request)

        def gathered(reads: Reads) -> tuple[Gathered, Page]:
            looked = look(reads)
            rows = [row for row in looked.rows if row.identity[1] not in held]
            return suites.gathered(reads, rows, base, seen), looked

        found, looked = await self._ask(request, self._counting, object(), gathered)
        self._log(request, seen)
        if (desk := self._desk) is not None and (who := known_reviewer(request)) is not None:
            await self.quickly(request, object(), lambda reads: desk.read_cases(reads, who, seen))
        return suites.answer(found, form, looked)

    def _log(self, request: Request, seen: Sequence[tuple[str, str]]) -> None:
        for app, generation_id in seen:
            _content.info("content of %s %s was read by %s", app, generation_id, addresses.reader(request))

    async def quickly(self, request: Request, key: Hashable, question: Callable[[Reads], Answer]) -> Answer:
        """The answer to a question about single facts."""
        return await self._ask(request, self._facts, key, question)

    async def _ask(self, request: Request, lane: Turns, key: Hashable, question: Callable[[Reads], Answer]) -> Answer:
        """The answer, of what whoever asks may read; shared with those who may read the same."""
        sight = viewer(request).sight
        return await lane.ask((sight, key), lambda: question(self._reads(sight)))

    def _reads(self, sight: Sight) -> Reads:
        return Reads(
            self._source.client(),
            self._now(),
            self._recent,
            sight=sight,
            scales=self._scales,
            alertmanager=self._alertmanager,
        )


async def described(document: Callable[[], Json], request: Request) -> Response:
    """What can be asked, and the types of the answers: OpenAPI."""
    return _json(document())


def _attached(name: str) -> dict[str, str]:
    return {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}.csv"'}


def _json(content: Json | None) -> Response:
    headers = {"cache-control": "no-store"}
    try:
        return JSONResponse(content, headers=headers)
    except ValueError:
        # JSON has no NaN and no infinity, and an older version let them into the store.
        return JSONResponse(_finite(content), headers=headers)


def _finite(content: Any) -> Any:
    """The content with null for every number that is none."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    return [_finite(each) for each in content] if isinstance(content, list) else content
