"""`keeprate collector`: take events and OpenTelemetry over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy.commands import logs
from keeprate.deploy.commands.run.listening import check_free
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
        bool, typer.Option("--no-keys", help="take any app's events without a key; from this machine only")
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
    address_connections: Annotated[
        int, typer.Option("--connections-per-address", min=1, help="beyond it, the longest idle one is ended")
    ] = 500,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(help="address or network whose X-Forwarded-For says who the client is; may repeat"),
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="serve /metrics there")] = None,
    metrics_host: Annotated[str, typer.Option(help="and at this address; it has no login")] = "127.0.0.1",
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
        from keeprate.producers.collector.gate.keys import FILE_NAME
        from keeprate.producers.collector.server import serve
        from keeprate.producers.collector.settings import CollectorSettings
    except ModuleNotFoundError as error:
        raise SystemExit(f"keeprate collector needs {error.name}: pip install 'keeprate[collector]'") from None
    logs.start("WARNING")
    settings = from_environment(brokers)
    check_free("collector", host, port)
    try:
        serve(
            CollectorSettings(
                brokers=settings.brokers,
                keys_path=(data_dir or settings.data_dir) / FILE_NAME,
                keyless=open_to_all,
                host=host,
                port=port,
                max_body_bytes=max_body_mib * _MIB,
                max_memory_bytes=max_memory_mib * _MIB,
                rate_per_s=rate,
                body_timeout_s=body_timeout,
                ack_timeout_s=ack_timeout,
                follow_hours=follow_hours,
                drain_delay_s=drain_delay,
                max_connections_per_address=address_connections,
                trusted_proxies=trusted_proxy or (),
                metrics_port=metrics_port,
                metrics_host=metrics_host,
                tls_certificate=tls_certificate,
                tls_key=tls_key,
                tls_client_ca=tls_client_ca,
            ),
            lambda said: typer.echo(said, err=True),
        )
    except SettingsError as error:
        raise SystemExit(f"keeprate collector: --{error.field.replace('_', '-')}: {error.reason}") from None
    except OSError as error:
        raise SystemExit(f"keeprate collector: {error}") from None
