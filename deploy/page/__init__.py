"""The page: what users keep, live, for whoever has a browser and may reach this port.

Entry points: `app.page` is the ASGI application over a `source.Source`, which `keeprate page` serves. Inside:
`selection` is what a request asks for, `answers` turns rows into the JSON of docs/page.md, `definitions` says in plain
words what each number means, `turns` bounds how many questions are asked at once, `reads` shares rows between requests
for as long as `recent` says, `static/` is the page, `runbook` is the document that alerts lead to.

**Invariant:** it reads. There is no route that changes anything, and no query that is not in `sinks`.
**Invariant:** text of users leaves as JSON and enters the page as text; the content security policy allows no inline
script, and nothing at all from elsewhere.
**Invariant:** every number is one of `sinks.reading`; here they are only arranged, and compared with the period before.
"""
