"""A microphone without hardware: an ALSA device whose samples come from a FIFO, written at the pace of a real one.

ALSA's ``file`` plugin has no clock of its own, so the writer's pace and a short pipe give it one.
"""

import fcntl
import os
import threading
import time
from pathlib import Path

import numpy as np

RATE = 16_000
BLOCK = 320
"""Samples that are written at once, 20 ms."""
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 4096

_CONFIG = """
</usr/share/alsa/alsa.conf>
pcm.{name}_raw {{
    type file
    slave.pcm {{ type null }}
    file "/dev/null"
    infile "{fifo}"
    format "raw"
}}
pcm.{name} {{
    type plug
    slave {{ pcm "{name}_raw" format S16_LE rate {rate} channels {channels} }}
    hint {{ show on description "virtual microphone" }}
}}
pcm.!default {{ type plug slave.pcm "{name}" }}
"""


class VirtualMicrophone:
    """Plays sounds into an ALSA device, again and again.

    Args:
        folder: for its files.
        name: of the device.
        channels: of the device.
        rate: of the device.
        lossless: wait for a reader that is late, instead of losing samples as a real microphone does.
    """

    def __init__(
        self, folder: Path, name: str = "robotmic", channels: int = 2, rate: int = RATE, lossless: bool = False
    ) -> None:
        self.name, self.channels, self.rate = name, channels, rate
        self.config = folder / f"{name}.conf"
        fifo = folder / f"{name}.fifo"
        os.mkfifo(fifo)
        self.config.write_text(_CONFIG.format(name=name, fifo=fifo, rate=rate, channels=channels))
        self._fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # PortAudio opens every device when it is loaded
        fcntl.fcntl(self._fifo, _F_SETPIPE_SZ, _PIPE_BYTES)
        self._sound = np.zeros((self.rate, channels), dtype="<i2")
        self._stopped = threading.Event()
        self._place = 0
        self._lossless = lossless
        self.started_at = 0.0
        self.ends = False
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        return {"ALSA_CONFIG_PATH": str(self.config)}

    @property
    def before(self) -> str:
        """Python that gives a command this device."""
        return f"import os; os.environ.update({self.environment!r})"

    def play(self, sound: np.ndarray, *, once: bool = False) -> None:
        """Replace what it hears from now on by (samples,) or (samples, channels) in [-1, 1], looped."""
        sound = np.broadcast_to(np.atleast_2d(sound.T).T, (len(sound), self.channels))
        samples = np.round(np.clip(sound, -1, 1) * (2**15 - 1)).astype("<i2")
        self.ends, self._place, self._sound = once, 0, samples
        self.started_at = time.monotonic()

    def die(self) -> None:
        """Stop writing: the device then repeats its last samples, as one with a dead driver does."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            os.close(self._fifo)

    def close(self) -> None:
        self.die()

    def _write(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            sound, place = self._sound, self._place
            rows = np.arange(place, place + BLOCK * self.rate // RATE)
            if self.ends and place >= len(sound):
                block = np.zeros((len(rows), self.channels), dtype="<i2")
            else:
                block = sound[rows % len(sound)]
            sent = self._send(block.tobytes())
            if self._sound is sound and (sent or not self._lossless):
                self._place = place + len(rows)
            due = max(due + BLOCK / RATE, time.monotonic() - 0.1)
            self._stopped.wait(max(due - time.monotonic(), 0.0))

    def _send(self, data: bytes) -> bool:
        """Write all of it, or nothing where the pipe is full, as where nobody listens."""
        try:
            return os.write(self._fifo, data) > 0
        except BlockingIOError:
            return False
