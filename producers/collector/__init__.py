"""The collector: events and OpenTelemetry over HTTP, acknowledged once Kafka has them.

Entry points:
    `server`       the composition root: settings to a running server
    `endpoints`    what each path does, from request to answer
    `access`       who may send, by key, page and machine; `scopes` what; `limits` how much
    `connections`  how many, and how slowly; `weight` what a body would cost
    `batches`      a body of `POST /v1/events` to records
    `otlp`, `otlp_json`     OTLP requests to the spans and log records of `signals`
    `spans`, `logs`         spans and log records to events, by the tables of `semconv`
    `publisher`    records to Kafka, awaited per request
    `follower`     the names of recent generations, from Kafka

Invariant: the mappers need neither protobuf nor HTTP, so that files can be imported without this package's extra.
Invariant: nothing but `publisher`, `follower`, `keys` and `server` does input or output; decoders and mappers are pure.
Invariant: an item is reported as accepted only after every in-sync replica has acknowledged it.
Invariant: what a client can make this process hold or do is bounded before it is done: per body, connection and app.
"""
