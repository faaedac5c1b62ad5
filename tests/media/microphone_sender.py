"""A microphone without hardware: numbered samples into a FIFO that ALSA reads, from a process of its own.

Until a line arrives on its input it sends silence, and drops what nobody reads. Then each sample is its number, counted
from 1, modulo ``WRAP`` and in parts of it, on both channels, and none is dropped: a reader that stalls gets them late.
It prints the time at which number 0 would have been captured, s on the monotonic clock. What is played into a second
FIFO is taken at the pace of a speaker. SIGUSR1 stops the microphone for good: a device whose driver has died.

Run: python tests/media/microphone_sender.py MICROPHONE SPEAKER
"""

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

RATE, CHANNELS = 16_000, 2
WRAP = 2**15
BLOCK = 160
"""Samples that are written at once, 10 ms."""
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 8192
"""64 ms of the microphone's sound, 128 ms of the speaker's."""

ASOUNDRC = """
pcm.robot_raw {{ type file slave.pcm {{ type null }} file "/dev/null" infile "{microphone}" format "raw" }}
pcm.reachymini_audio_src {{ type plug slave {{ pcm "robot_raw" format FLOAT_LE rate {rate} channels {channels} }} }}
pcm.robot_played {{ type file slave.pcm {{ type null }} file "{speaker}" format "raw" }}
pcm.reachymini_audio_sink {{ type plug slave {{ pcm "robot_played" format S16_LE rate {rate} channels {channels} }} }}
"""
"""The names by which the SDK knows the Wireless's devices. Source: has_reachymini_asoundrc in reachy_mini 1.13.

The microphone's format is the one that the SDK asks for. ALSA would read a file to be converted ahead, and drop what it
does not convert at once.
"""


def open_fifo(path: str) -> int:
    """Make a FIFO of a few blocks of sound, and open it for both ends, so that neither waits for the other."""
    Path(path).unlink(missing_ok=True)
    os.mkfifo(path)
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(fifo, _F_SETPIPE_SZ, _PIPE_BYTES)
    return fifo


def play(speaker: int) -> None:
    """Take what is played, at the speaker's pace."""
    due = time.monotonic()
    while True:
        due += BLOCK / RATE
        time.sleep(max(due - time.monotonic(), 0.0))
        with contextlib.suppress(BlockingIOError):
            os.read(speaker, BLOCK * CHANNELS * 2)


def main() -> None:
    """Send until the process is ended."""
    fifo, speaker = map(open_fifo, sys.argv[1:])
    threading.Thread(target=play, args=(speaker,), daemon=True).start()
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
        data = np.repeat(np.asarray(numbers / WRAP, dtype="<f4"), CHANNELS).tobytes()
        while data:
            try:
                data = data[os.write(fifo, data) :]
            except BlockingIOError:
                if not begun:
                    break
                select.select([], [fifo], [])


if __name__ == "__main__":
    main()
