"""Closing of what may never close: GStreamer waits for a device whose driver has died, and a robot must lie down."""

import threading
from collections.abc import Callable


def close_within(seconds: float, close: Callable[[], object]) -> bool:
    """Close something, and leave it alone where that takes too long.

    Args:
        seconds: longest wait.
        close: closes it; called in a thread that does not keep the program alive.

    Returns:
        Whether it has been closed.
    """
    thread = threading.Thread(target=close, name="closing", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
