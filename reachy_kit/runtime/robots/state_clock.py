"""Stamps of the SDK's measurements as they arrive."""

import threading
import time


class StateClock:
    """Stamps the arrival of the daemon's measurements; the SDK itself keeps no times.

    Args:
        arrived: set by the SDK with each measurement.
    """

    def __init__(self, arrived: threading.Event) -> None:
        self.last_arrival = time.monotonic()
        self.arrivals = 0
        """Measurements that have arrived; several at once count as one."""
        self._arrived = arrived
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            if self._arrived.wait(0.2):
                self.last_arrival = time.monotonic()
                self.arrivals += 1
                self._arrived.clear()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()
