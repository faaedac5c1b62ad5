"""A microphone without hardware: numbered samples into a FIFO that ALSA reads, from a process of its own.

Until a line arrives on its input it sends silence, and drops what nobody reads. Then each sample is its number, counted
from 1, modulo ``WRAP``, on both channels, and none is dropped: a reader that stalls gets them late. It prints the time
at which number 0 would have been captured, s on the monotonic clock. SIGUSR1 silences it for good: a dead driver.

Run: python tests/media/microphone_sender.py FIFO
"""

import fcntl
import os
import select
import signal
import sys
import time

import numpy as np

RATE, CHANNELS = 16_000, 2
WRAP = 2**15
BLOCK = 160
"""Samples that are written at once, 10 ms."""
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 4096

ASOUNDRC = """
pcm.robot_raw {{ type file slave.pcm {{ type null }} file "/dev/null" infile "{fifo}" format "raw" }}
pcm.reachymini_audio_src {{ type plug slave {{ pcm "robot_raw" format S16_LE rate {rate} channels {channels} }} }}
pcm.reachymini_audio_sink {{ type null }}
"""
"""The names by which the SDK knows the Wireless's devices. Source: has_reachymini_asoundrc in reachy_mini 1.13."""


def main() -> None:
    """Send until the process is ended."""
    path = sys.argv[1]
    os.mkfifo(path)
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(fifo, _F_SETPIPE_SZ, _PIPE_BYTES)
    signal.signal(signal.SIGUSR1, lambda *_: signal.pause())
    print("ready", flush=True)
    due, number, begun = time.monotonic(), 0, 0.0
    while True:
        due += BLOCK / RATE
        time.sleep(max(due - time.monotonic(), 0.0))
        if not begun and select.select([sys.stdin], [], [], 0)[0] and sys.stdin.readline():
            begun = due = time.monotonic()
            print(begun, flush=True)
            continue
        numbers = np.arange(number + 1, number + BLOCK + 1) % WRAP if begun else np.zeros(BLOCK)
        number += BLOCK * bool(begun)
        data = np.repeat(numbers.astype("<i2"), CHANNELS).tobytes()
        while data:
            try:
                data = data[os.write(fifo, data) :]
            except BlockingIOError:
                if not begun:
                    break
                select.select([], [fifo], [])


if __name__ == "__main__":
    main()
