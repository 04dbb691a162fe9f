"""Whether a server may listen where it is told to, asked before it says that it does."""

import socket


def check_free(command: str, host: str, port: int) -> None:
    """End the command where its address cannot be listened at, with what would do."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        remedy = "choose another with --port"
        raise SystemExit(
            f"keeprate {command}: {host}:{port} cannot be listened at ({error.strerror}): {remedy}"
        ) from None
