"""The SDK's client, with the robot's camera and microphone or without. The only module that imports reachy_mini."""

from pathlib import Path
from typing import Any

from reachy_kit.runtime.errors import KitError, MissingPackageError, NoRobotError
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER
from reachy_kit.runtime.robots.daemon import DaemonAddress, daemon_status, lost_robot, no_daemon
from reachy_kit.runtime.robots.media.bounded_close import close_within
from reachy_kit.runtime.robots.media.camera_socket import first_frame_size
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.prompt_delivery import deliver_promptly

LOCALHOST = ("localhost", "127.0.0.1", "::1")
_REMOTE_FIRST_FRAME = 8.0
"""Longest wait for the first frame over WebRTC, s: the peers negotiate first, and a key frame is awaited."""
_CLOSING = 3.0
"""Longest wait for the SDK to close camera, microphone and connection, s; a tenth of a second is usual."""


def require_media(status: dict[str, Any], address: DaemonAddress, *, microphone: bool) -> None:
    """Refuse a daemon that gives neither camera nor microphone.

    Args:
        status: of the daemon.
        address: of the daemon.
        microphone: whether that is wanted.

    Raises:
        KitError: it runs without them, or another program has taken them.
    """
    advice = ". --microphone default listens through this computer" if microphone else ""
    if status.get("no_media"):
        raise KitError(f"the daemon at {address} runs with --no-media: it has neither camera nor microphone{advice}")
    if status.get("media_released"):
        raise KitError(f"another program has taken camera and microphone from the daemon at {address}: end it{advice}")


def require_frames(address: DaemonAddress) -> None:
    """Refuse a camera of this computer that sends nothing, or frames of a size that the SDK does not take.

    The SDK would wait for two seconds, and could not tell the one from the other.

    Args:
        address: of the camera's daemon. One on another computer is not looked at: WebRTC negotiates first.

    Raises:
        KitError: no frame comes, or one of another size.
    """
    try:
        from reachy_mini.daemon.utils import CAMERA_SOCKET_PATH

        if address.reachable_host not in LOCALHOST or not Path(CAMERA_SOCKET_PATH).exists():
            return
        size = first_frame_size(CAMERA_SOCKET_PATH, CAMERA_SILENT_AFTER)
    except Exception:  # without the SDK or its GStreamer, which open_client reports
        return
    rows, columns, _ = expected_camera_shape(address)
    if size is None:
        raise _without_frames(address, "has not delivered a frame", columns, rows)
    if size != (columns, rows):
        raise _without_frames(address, f"delivers {size[0]} × {size[1]} px", columns, rows)


def open_client(address: DaemonAddress, *, media: bool) -> Any:
    """Connect to a daemon that answers: a ``reachy_mini.ReachyMini`` that does not turn the body by itself.

    Args:
        address: of the daemon.
        media: whether camera or microphone are wanted. Without them the client opens nothing of either, whatever
            GStreamer there is here, and takes them from no other program.

    Raises:
        MissingPackageError: the SDK is not installed here.
        NoRobotError: it does not load, or does not connect.
        KitError: it cannot open camera and microphone.
    """
    try:
        from reachy_mini import ReachyMini
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"the robot's SDK is not installed here ({error})", "robot") from error
    except ImportError as error:
        raise NoRobotError(f"the robot's SDK does not load ({error}). Without a robot: --robot sim") from error

    class WithoutMedia(ReachyMini):  # type: ignore[misc]
        """The SDK's own no_media has the daemon release camera and microphone, for every other program too."""

        def release_media(self) -> None:
            """Leave them with the daemon."""

    client, backend = (ReachyMini, "default") if media else (WithoutMedia, "no_media")
    try:
        return client(
            host=address.reachable_host,
            port=address.port,
            connection_mode="localhost_only" if address.reachable_host in LOCALHOST else "network",
            automatic_body_yaw=False,
            log_level="WARNING",
            media_backend=backend,
        )
    except Exception as error:  # GStreamer raises bare RuntimeErrors and GLib errors for whatever it lacks.
        # Connections are refused by a daemon that has ended, or by the media server that one without WebRTC lacks.
        if isinstance(error, ConnectionError | TimeoutError) and not (media and daemon_status(address)):
            raise lost_robot(address, str(error)) from error
        raise _without_gstreamer(address, str(error)) from error


def open_camera(client: Any, address: DaemonAddress) -> FrameReader:
    """Read the robot's camera from now on.

    Args:
        client: of ``open_client``, with media.
        address: of its daemon.

    Raises:
        KitError: it delivers nothing.
    """
    if client.media.camera is None:
        raise _without_gstreamer(address, "the SDK has no camera")
    deliver_promptly(client.media.camera, "_appsink_video")
    frames = FrameReader(client.media.get_frame, lambda: _reopen(client.media.camera))
    try:
        if frames.wait_for_first(_REMOTE_FIRST_FRAME if client.connection_mode == "network" else CAMERA_SILENT_AFTER):
            return frames
        fault = frames.fault or "has not delivered a frame"
        raise _without_frames(address, fault, *client.media.camera.resolution)
    except BaseException:  # Ctrl-C too
        frames.stop()
        raise


def close_client(client: Any) -> None:
    """End the connection, also where camera or microphone do not close."""
    if not close_within(_CLOSING, lambda: client.__exit__(None, None, None)):
        client.client.disconnect()


def expected_camera_shape(address: DaemonAddress) -> tuple[int, int, int]:
    """(height, width, 3) px in which the SDK reads the camera that a daemon has; it takes no other size.

    Raises:
        NoRobotError: no daemon answers.
        MissingPackageError: the SDK is not installed here.
    """
    status = daemon_status(address)
    if status is None:
        raise no_daemon(address)
    try:
        from reachy_mini.media.camera_constants import ReachyMiniLiteCamSpecs, get_camera_specs_by_name
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"the robot's SDK is not installed here ({error})", "robot") from error
    name = status.get("camera_specs_name")
    specs = get_camera_specs_by_name(name) if name else ReachyMiniLiteCamSpecs()
    columns, rows = specs.default_resolution.value[:2]
    return int(rows), int(columns), 3


def _reopen(camera: Any) -> None:
    """Connect a local camera's pipeline again, which stays silent once its daemon has ended.

    Over the network the SDK would have to find the daemon's new stream first; nothing happens there.
    """
    pipeline = getattr(camera, "pipeline", None)  # as reachy_mini 1.12 and 1.13 name it
    if pipeline is not None:
        states = type(pipeline.get_state(0).state)  # Gst.State, without an import of GStreamer
        pipeline.set_state(states.NULL)
        pipeline.set_state(states.PLAYING)


def _without_frames(address: DaemonAddress, fault: str, columns: int, rows: int) -> KitError:
    return KitError(
        f"the camera of {address} {fault}: the SDK waits for {columns} × {rows} px. "
        "Is it plugged in, and of that size? Look at the daemon's log"
    )


def _without_gstreamer(address: DaemonAddress, why: str) -> KitError:
    return KitError(
        f"the SDK cannot open the camera and the microphone of {address} ({why}). It needs GStreamer ≥ 1.24 with "
        "unixfdsrc on the robot, or webrtcsrc elsewhere; Debian 12 has neither. Run on the robot, or on Debian 13"
    )
