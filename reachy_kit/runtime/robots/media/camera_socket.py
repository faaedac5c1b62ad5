"""The socket through which a daemon hands its camera's frames to programs on its own computer.

The SDK waits two seconds for the first frame, whatever comes. This looks before it does.
"""


def first_frame_size(path: str, within: float) -> tuple[int, int] | None:
    """Size (width, height) px of the first frame that arrives; None where none does in time.

    Args:
        path: of the socket.
        within: longest wait, s.

    Raises:
        Exception: GStreamer is missing or too old here, of whatever kind it raises then.
    """
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    from gi.repository import Gst, GstApp  # noqa: F401  (GstApp gives appsink its methods)

    Gst.init(None)
    pipeline = Gst.parse_launch(f"unixfdsrc socket-path={path} ! appsink name=frames sync=false max-buffers=1")
    frames = pipeline.get_by_name("frames")
    pipeline.set_state(Gst.State.PLAYING)
    try:
        sample = frames.try_pull_sample(round(within * Gst.SECOND))
        if sample is None:
            return None
        form = sample.get_caps().get_structure(0)
        return form.get_value("width"), form.get_value("height")
    finally:
        pipeline.set_state(Gst.State.NULL)
