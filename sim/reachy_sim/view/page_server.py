"""The front door: a page that leads to the 3D view, or where the browser has no WebGL shows the robot in pictures.

viser's own page stays empty without WebGL, panel and all. This one is plain HTML: the server's pictures, the eye's
image, the same buttons and sliders.
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
from reachy_sim.view.snapshots import SnapshotBuffer
from reachy_sim.view.stream import PictureStream, jpeg

_HTML = Path(__file__).with_name("page_server.html")
_PICTURE_WAIT = 2.0
"""s after which a picture request gets the last picture again: a paused robot has no new one."""


@dataclass
class _Stage:
    viewer_port: int
    controls: Controls
    cast: ViewInfo
    moments: Callable[[], SnapshotBuffer]
    stream: PictureStream


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
        cast: ViewInfo,
        moments: Callable[[], SnapshotBuffer],
        stream: PictureStream,
    ) -> None:
        """From now on there is something to see; until then the page says that it is loading.

        Args:
            viewer_port: of the 3D view.
            controls: told what the person wants.
            cast: names to show.
            moments: what there is to see.
            stream: pictures of the robot.
        """
        self._server.stage = _Stage(viewer_port, controls, cast, moments, stream)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stage: _Stage | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that has gone is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        stage, path = self.server.stage, urlsplit(self.path).path
        if path == "/":
            self._answer("text/html; charset=utf-8", _HTML.read_bytes())
        elif path == "/state":
            self._answer("application/json", json.dumps(_state(stage) if stage else {}).encode())
        elif path == "/picture.jpg" and stage:
            picture = stage.stream.next_picture(_PICTURE_WAIT)
            self._answer("image/jpeg", jpeg(picture)) if picture is not None else self.send_error(503)
        elif path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        elif path == "/eye.jpg" and stage:
            image = stage.moments().latest.image
            self._answer("image/jpeg", jpeg(image)) if image is not None else self.send_error(503)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Do what a button says; not for a page from somewhere else that happens to be open in the same browser."""
        stage, address = self.server.stage, urlsplit(self.path)
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            self.send_error(403)
            return
        arguments = {key: values[0] for key, values in parse_qs(address.query).items()}
        if stage is None or not _act(stage, address.path, arguments):
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
        """Nobody wants a line a picture."""


def _state(stage: _Stage) -> dict[str, Any]:
    moment, controls = stage.moments().latest, stage.controls
    error = moment.task_error
    return {
        "viewer_port": stage.viewer_port,
        "task": stage.cast.task,
        "robot": stage.cast.robot,
        "variant": stage.cast.variant,
        "driver": YOU if controls.human_action is not None else stage.cast.policy,
        "paused": controls.paused,
        "seed": moment.seed,
        "time": round(moment.time, 3),
        "error": "" if error is None else f"{stage.cast.error.name} {stage.cast.error.text(error)}",
        "within_tolerance": error is not None
        and stage.cast.tolerance is not None
        and bool(error <= stage.cast.tolerance),
        "success": moment.success,
        "trouble": stage.stream.trouble,
        "axes": [
            {
                "label": axis.label,
                "low": axis.low,
                "high": axis.high,
                "measured": round(float(state), 1),
                "commanded": round(float(action)),
            }
            for axis, state, action in zip(AXES, moment.state * SCALES, moment.action * SCALES, strict=True)
        ],
    }


def _act(stage: _Stage, path: str, arguments: dict[str, str]) -> bool:
    """Whether there was such a thing to do."""
    controls = stage.controls
    if path == "/pause":
        controls.pause(not controls.paused)
    elif path == "/step":
        controls.step(stage.cast.ticks)
    elif path == "/reset":
        controls.start_again()
    elif path == "/back":
        controls.release()
    elif path == "/steer":
        try:
            index, value = int(arguments["axis"]), float(arguments["value"])
            controls.steer(index, value / AXES[index].scale, stage.moments().latest.action)
        except (KeyError, ValueError, IndexError):
            return False
    else:
        return False
    return True
