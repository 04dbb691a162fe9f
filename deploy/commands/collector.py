"""`keeprate collector`: take events and OpenTelemetry over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy.settings import from_environment

_MIB = 1 << 20


def collector(
    brokers: Annotated[str | None, typer.Option(help="[default: KEEPRATE_BROKERS]")] = None,
    host: Annotated[str, typer.Option(envvar="KEEPRATE_COLLECTOR_HOST", help="0.0.0.0 serves other machines")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(envvar="KEEPRATE_COLLECTOR_PORT", help="4318 is OTLP/HTTP's own")] = 4318,
    data_dir: Annotated[Path | None, typer.Option(help="of the keys [default: KEEPRATE_DATA_DIR]")] = None,
    open_to_all: Annotated[
        bool, typer.Option("--no-keys", help="take any app's events without a key; on loopback only")
    ] = False,
    rate: Annotated[float, typer.Option(help="requests a second and key, twice that in a burst; 0: no limit")] = 2000,
    max_body_mib: Annotated[int, typer.Option(min=1, help="of one body, once it is decompressed")] = 16,
    max_memory_mib: Annotated[int, typer.Option(min=1, help="of all bodies at one moment")] = 256,
    ack_timeout: Annotated[float, typer.Option(help="seconds a request waits for Kafka, then 503")] = 10,
    body_timeout: Annotated[float, typer.Option(help="seconds a body may take to arrive, then 408")] = 30,
    follow_hours: Annotated[
        float, typer.Option(help="how far back to read generations, to know them by trace and response id; 0: not")
    ] = 24,
    drain_delay: Annotated[float, typer.Option(help="seconds from SIGTERM until connections are refused")] = 0,
    allow_origin: Annotated[list[str] | None, typer.Option(help="of browsers' pages; may repeat [default: *]")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file, with the chain; serves HTTPS")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="PEM file; asks clients for a certificate of it")] = None,
) -> None:
    """Take events at POST /v1/events and OTLP at /v1/traces and /v1/logs, until Ctrl-C or SIGTERM.

    A request is answered once Kafka has acknowledged its events. Make a key first: `keeprate keys create APP`. Then
    point an app at it, for example one that OpenTelemetry instruments already:
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer KEY"
    """
    from keeprate.producers.errors import SettingsError

    try:
        from keeprate.producers.collector.keys import FILE_NAME
        from keeprate.producers.collector.server import CollectorSettings, serve
    except ModuleNotFoundError as error:
        raise SystemExit(f"keeprate collector needs {error.name}: pip install 'keeprate[collector]'") from None
    settings = from_environment()
    if open_to_all and host not in ("127.0.0.1", "::1", "localhost"):
        raise SystemExit(f"keeprate collector: --no-keys with --host {host} would take events from anybody; make a key")
    if (tls_certificate is None) != (tls_key is None):
        raise SystemExit("keeprate collector: --tls-certificate and --tls-key belong together")
    try:
        serve(
            CollectorSettings(
                brokers=brokers or settings.brokers,
                keys_path=None if open_to_all else (data_dir or settings.data_dir) / FILE_NAME,
                host=host,
                port=port,
                max_body_bytes=max_body_mib * _MIB,
                max_memory_bytes=max_memory_mib * _MIB,
                rate_per_s=rate,
                body_timeout_s=body_timeout,
                ack_timeout_s=ack_timeout,
                follow_hours=follow_hours,
                drain_delay_s=drain_delay,
                allow_origins=allow_origin or ("*",),
                tls_certificate=tls_certificate,
                tls_key=tls_key,
                tls_client_ca=tls_client_ca,
            )
        )
    except (SettingsError, OSError) as error:
        raise SystemExit(f"keeprate collector: {error}") from None
