"""OpenTelemetry to events: decoders and mappers, pure, without HTTP.

otlp, otlp_json  requests to the spans and log records of `signals`; `wire` counts before anything is made
spans, logs      to events, by the tables of `semconv`; `generations`, `messages`, `evaluations`, `copilot` too
identity         which generation a fact belongs to; `follower` keeps the names that others took
"""
