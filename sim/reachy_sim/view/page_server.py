"""The first page: it leads to the 3D view, or where the browser has no WebGL shows images of the robot.

viser's own page stays empty without WebGL, panel and all. This one is plain HTML: images of the robot and of its
head camera, the same buttons and sliders.
"""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from reachy_kit.runtime.errors import KitError
from reachy_sim.view.axes import AXES, SCALES
from reachy_sim.view.controls import Controls
from reachy_sim.view.panel import YOU, ViewInfo
from reachy_sim.view.robot_stream import RobotStream, jpeg
from reachy_sim.view.snapshots import SnapshotBuffer

_HTML = Path(__file__).with_name("page_server.html")
_IMAGE_WAIT = 2.0
"""Time after which a request receives the last image of the robot again, s: a paused robot has no new one."""


@dataclass
class _View:
    viewer_port: int
    controls: Controls
    info: ViewInfo
    snapshots: Callable[[], SnapshotBuffer]
    stream: RobotStream


class PageServer:
    """A small web server in a thread of its own.

    Args:
        host: address to listen at.
        port: 0 takes any free one.

    Raises:
        KitError: the port is in use.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise KitError(
                f"cannot listen at {host}:{port} ({error.strerror}): end the other viewer, or take another --port"
            ) from error
        self.port = int(self._server.server_address[1])
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host
        self.url = f"http://{shown}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="page", daemon=True).start()

    def open(
        self,
        viewer_port: int,
        controls: Controls,
        info: ViewInfo,
        snapshots: Callable[[], SnapshotBuffer],
        stream: RobotStream,
    ) -> None:
        """Show the view; until then the page says that it is loading.

        Args:
            viewer_port: of the 3D view.
            controls: receive the person's requests.
            info: names to show.
            snapshots: state of the rollout.
            stream: images of the robot.
        """
        self._server.view = _View(viewer_port, controls, info, snapshots, stream)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    view: _View | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a browser that has closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        view, path = self.server.view, urlsplit(self.path).path
        if path == "/":
            self._answer("text/html; charset=utf-8", _HTML.read_bytes())
        elif path == "/state":
            self._answer("application/json", json.dumps(_state(view) if view else {}).encode())
        elif path == "/robot.jpg" and view:
            image = view.stream.next_image(_IMAGE_WAIT)
            self._answer("image/jpeg", jpeg(image)) if image is not None else self.send_error(503)
        elif path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        elif path == "/camera.jpg" and view:
            image = view.snapshots().latest.image
            self._answer("image/jpeg", jpeg(image)) if image is not None else self.send_error(503)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Carry out a button's request; refuse other sites' pages that are open in the same browser."""
        view, address = self.server.view, urlsplit(self.path)
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            self.send_error(403)
            return
        arguments = {key: values[0] for key, values in parse_qs(address.query).items()}
        if view is None or not _act(view, address.path, arguments):
            self.send_error(400)
            return
        self._answer("application/json", b"{}")

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep requests off the terminal: there are many per second."""


def _state(view: _View) -> dict[str, Any]:
    snapshot, controls = view.snapshots().latest, view.controls
    error = snapshot.task_error
    return {
        "viewer_port": view.viewer_port,
        "task": view.info.task,
        "robot": view.info.robot,
        "variant": view.info.variant,
        "driver": YOU if controls.human_action is not None else view.info.policy,
        "paused": controls.paused,
        "seed": snapshot.seed,
        "time": round(snapshot.time, 3),
        "error": "" if error is None else f"{view.info.error.name} {view.info.error.text(error)}",
        "within_tolerance": error is not None
        and view.info.tolerance is not None
        and bool(error <= view.info.tolerance),
        "success": snapshot.success,
        "trouble": view.stream.trouble,
        "axes": [
            {
                "label": axis.label,
                "low": axis.low,
                "high": axis.high,
                "measured": round(float(state), 1),
                "commanded": round(float(action)),
            }
            for axis, state, action in zip(AXES, snapshot.state * SCALES, snapshot.action * SCALES, strict=True)
        ],
    }


def _act(view: _View, path: str, arguments: dict[str, str]) -> bool:
    """Carry out a request; returns whether it exists."""
    controls = view.controls
    if path == "/pause":
        controls.pause(not controls.paused)
    elif path == "/step":
        controls.step(view.info.ticks)
    elif path == "/reset":
        controls.restart()
    elif path == "/release":
        controls.release()
    elif path == "/steer":
        try:
            index, value = int(arguments["axis"]), float(arguments["value"])
            controls.steer(index, value / AXES[index].scale, view.snapshots().latest.action)
        except (KeyError, ValueError, IndexError):
            return False
    else:
        return False
    return True
