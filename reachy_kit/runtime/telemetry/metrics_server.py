"""The address of ``--metrics``: Prometheus' text under /metrics, the same as JSON under /telemetry; /stop stops."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interrupts import stop_program
from reachy_kit.runtime.telemetry.exposition import CONTENT_TYPE, write_exposition
from reachy_kit.runtime.telemetry.run_snapshot import RunSnapshot

DEFAULT_PORT = 9100
"""Port on which ``reachy-kit top`` looks for a run."""
JSON_PATH = "/telemetry"
STOP_PATH = "/stop"
STOP_HEADER = "X-Reachy-Kit"
"""Header, of any value, without which nothing is stopped. A web page that is open on this computer cannot send it, nor
hide the ``Origin`` that its requests carry."""
_STOPPING = f"POST {STOP_PATH} with the header {STOP_HEADER}: stop, not from a web page, stops the run\n"
_PATIENCE = 5.0
"""Longest silence of a client, s."""


@dataclass(frozen=True)
class MetricsAddress:
    """Where a run publishes."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_metrics_address(text: str, host: str = "127.0.0.1") -> MetricsAddress:
    """An address in ``PORT`` or ``HOST:PORT``.

    Args:
        text: of the option.
        host: where it gives a port alone.

    Raises:
        WrongUseError: the port is not a number, or not one of a port.
    """
    given, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 2**16) or (colon and not given):
        raise WrongUseError(f"--metrics {text} is not PORT or HOST:PORT, such as {DEFAULT_PORT}")
    return MetricsAddress(given or host, int(port))


class MetricsServer:
    """Answers requests until it is closed; a slow client holds up neither the run nor other clients.

    Args:
        address: where; port 0 takes any free one.
        snapshot: of the run, called by the threads that answer.

    Raises:
        WrongUseError: the address is in use, or not one of this computer.
    """

    def __init__(self, address: MetricsAddress, snapshot: Callable[[], RunSnapshot]) -> None:
        handler = type("Handler", (_Handler,), {"snapshot": staticmethod(snapshot)})
        try:
            self._server = _Server((address.host, address.port), handler)
        except OSError as error:
            raise WrongUseError(
                f"--metrics {address}: nothing can be published there ({error.strerror}). Choose another port, on an "
                "address of this computer"
            ) from error
        self.address = MetricsAddress(address.host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has left."""


class _Handler(BaseHTTPRequestHandler):
    snapshot: Callable[[], RunSnapshot]
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE, write_exposition(self.snapshot()))
        elif path == JSON_PATH:
            self._answer(200, "application/json", json.dumps(self.snapshot().record()))
        else:
            self._answer(404, "text/plain; charset=utf-8", f"/metrics for Prometheus, {JSON_PATH} as JSON; {_STOPPING}")

    def do_POST(self) -> None:
        """Stop the run: the robot lies down, and the program ends."""
        self.close_connection = True  # a body is not read
        if self.path.partition("?")[0] != STOP_PATH:
            self._answer(404, "text/plain; charset=utf-8", _STOPPING)
        elif "Origin" in self.headers or STOP_HEADER not in self.headers:
            self._answer(403, "text/plain; charset=utf-8", _STOPPING)
        elif stop_program():
            self._answer(202, "text/plain; charset=utf-8", "the robot lies down\n")
        else:
            self._answer(409, "text/plain; charset=utf-8", "this program cannot be stopped so: press Ctrl-C there\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: stderr belongs to the run."""
