"""Frames and sound as they arrive: the SDK's pipelines hold them back until their presentation time.

Microphone and speaker share a pipeline, whose latency is that of playing: 149 ms, by which every sample came late. The
camera's sink waits in the same way.
"""

from typing import Any


def deliver_promptly(part: Any, sink: str) -> None:
    """Have a part of the SDK's media hand on what it receives at once.

    Args:
        part: the SDK's camera or sound; None where it has none.
        sink: attribute with its GStreamer appsink, as reachy_mini 1.12 and 1.13 name it; without one nothing changes.
    """
    appsink = getattr(part, sink, None)
    if appsink is not None:
        appsink.set_property("sync", False)
