"""The collector: events and OpenTelemetry over HTTP, acknowledged once Kafka has them.

Entry points:
    `server`       the composition root: settings to a running server
    `endpoints`    what each path does, from request to answer
    `gate`         who may send, what, how much, how many and how slowly
    `batches`      a body of `POST /v1/events` to records
    `otel`         OTLP requests to events
    `publisher`    records to Kafka, awaited per request

Invariant: the mappers need neither protobuf nor HTTP, so that files can be imported without this package's extra.
Invariant: nothing but `publisher`, `otel.follower`, `gate.keys` and `server` does input or output; the rest is pure.
Invariant: an item is reported as accepted only after every in-sync replica has acknowledged it.
Invariant: what a client can make this process hold or do is bounded before it is done: per body, connection and app.
"""
