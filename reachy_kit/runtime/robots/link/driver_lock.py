"""One driver for each robot: an advisory lock on this computer, which vanishes with the process that holds it.

Two programs that command one robot each get the mean of both, without an error. The daemon accepts every client, so
this computer's own are kept apart here; `other_drivers` notices the rest.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interrupts import STOP
from reachy_kit.runtime.robots.daemon import DaemonAddress, numeric_host

LOOPBACK = "127.0.0.1"
_PREFIX, _SUFFIX = "reachy-kit-", ".lock"
_LONGEST = 300
"""Bytes of the text in a lock's file, at most: process, signal, robot."""
_ENDS_WITHIN, _POLL = 1.0, 0.02
"""Longest wait for a holder that is ending, s, and the time between two looks: Linux takes a killed process's files
from it, and frees their locks a moment later."""


@dataclass(frozen=True)
class Driver:
    """A process of this computer that drives a robot."""

    robot: str
    """Host and port of the daemon, as the process was given them."""
    pid: int
    stop: int
    """Number of the signal after which it brings the robot to rest and ends."""
    file: Path
    """Of the lock that it holds."""

    @property
    def is_driving(self) -> bool:
        """Whether it still holds the lock."""
        holder = _read_file(self.file) if _is_held(self.file) else None
        return holder is not None and holder.pid == self.pid


class DriverLock:
    """The right to drive the robot behind a daemon.

    Args:
        address: of the daemon; another name of the same computer is the same robot.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take it.

        Where there is nowhere to keep a lock, as on a disk without a writable temporary folder, this does nothing.

        Raises:
            RefusedError: another process, or another robot object of this one, drives the robot.
        """
        handle = _open(self._address)
        if handle is None:
            return
        try:
            _lock(handle)
        except BlockingIOError as error:
            driver = _read(handle, Path())
            os.close(handle)
            by, end = (f"process {driver.pid}", f", or end it: kill {driver.pid}") if driver else ("a process", "")
            raise RefusedError(
                f"the robot at {self._address} is already driven by {by} on this computer. Wait for it to end{end}"
            ) from error
        except OSError:  # a disk without locks
            os.close(handle)
            return
        with contextlib.suppress(OSError):  # another user's file: it can be locked, though not written
            os.ftruncate(handle, 0)
            # A program that does not unwind at the stop signal would die of it, with the head up. All know Ctrl-C.
            stop = STOP if callable(signal.getsignal(STOP)) else signal.SIGINT
            os.pwrite(handle, f"{os.getpid()} {int(stop)} {self._address}".encode()[:_LONGEST], 0)
        self._handle = handle

    def close(self) -> None:
        """Give it back. Safe to call twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _lock(handle: int) -> None:
    """Lock a file; a holder that does not have it open any more, as a process that was just killed, is waited for.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    deadline = time.monotonic() + _ENDS_WITHIN
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _read(handle, Path()) or time.monotonic() > deadline:
                raise
        time.sleep(_POLL)


def driving_process(address: DaemonAddress) -> int | None:
    """Process of this computer that drives the robot behind a daemon, and holds its lock; None where it is not known.

    The lock is not touched, so that a program that starts meanwhile gets it.
    """
    try:
        inode = _path(address).stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:  # no lock, or not Linux
        return None
    for line in lines:  # such as "1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF"
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return int(words[4]) or None
    return None


def _path(address: DaemonAddress) -> Path:
    name = f"{_PREFIX}{_host(address)}-{address.port}{_SUFFIX}".replace(":", "-")
    return Path(tempfile.gettempdir()) / name


def find_drivers(address: DaemonAddress | None = None) -> list[Driver]:
    """Every process of this computer that drives a robot now, whichever user started it.

    Args:
        address: of the robot's daemon; None for all robots.
    """
    drivers = list[Driver]()
    with contextlib.suppress(OSError):  # no temporary folder
        files = [_path(address)] if address else sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_SUFFIX}"))
        for file in files:
            if _is_held(file) and (driver := _read_file(file)):
                drivers.append(driver)
    return drivers


def _is_held(file: Path) -> bool:
    """Whether a process holds the lock."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    finally:
        os.close(handle)
    return False


def _read_file(file: Path) -> Driver | None:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _read(handle, file)
    finally:
        os.close(handle)


def _read(handle: int, file: Path) -> Driver | None:
    """What a lock's holder has written; None where it could not, as in another user's file."""
    pid, number, robot = (*os.pread(handle, _LONGEST, 0).decode(errors="replace").split(maxsplit=2), "", "", "")[:3]
    if not (pid.isdecimal() and number.isdecimal() and _has_open(int(pid), handle)):
        return None
    return Driver(robot, int(pid), int(number), file)


def _has_open(pid: int, handle: int) -> bool:
    """Whether a process has a file open, as far as this system says: the text may be of an earlier holder."""
    folder, wanted = Path(f"/proc/{pid}/fd"), os.fstat(handle)
    if sys.platform != "linux":
        return True
    try:
        numbers = list(folder.iterdir())
    except PermissionError:  # another user's process
        return True
    except OSError:
        return False
    for number in numbers:
        with contextlib.suppress(OSError):
            entry = number.stat()
            if (entry.st_dev, entry.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def _open(address: DaemonAddress) -> int | None:
    """Open the lock's file, which all users of this computer share; None where that is impossible."""
    with contextlib.suppress(OSError):  # no temporary folder
        path = _path(address)
        # Without O_CREAT first: Linux refuses it for another user's file in a folder such as /tmp.
        for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            with contextlib.suppress(OSError):
                handle = os.open(path, flags | os.O_NOFOLLOW, 0o666)
                with contextlib.suppress(OSError):
                    os.fchmod(handle, 0o666)  # whatever the umask: another user writes its process there
                return handle
    return None


def is_this_computer(host: str) -> bool:
    """Whether a name or an address is this computer's."""
    return _host(DaemonAddress(host)) == LOOPBACK


def _host(address: DaemonAddress) -> str:
    """The daemon's computer as an IP address, this one always as the same; its name where it cannot be resolved."""
    host = numeric_host(address.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError, UnicodeError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))  # only this computer's own addresses can be bound
        return LOOPBACK
    return host
