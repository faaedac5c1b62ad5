"""One driver for each robot: an advisory lock on this computer, which vanishes with the process that holds it.

Two programs that command one robot each get the mean of both, without an error. The daemon accepts every client, so
this computer's own are kept apart here; `other_drivers` notices the rest.
"""

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.robots.daemon import DaemonAddress, numeric_host

LOOPBACK = "127.0.0.1"


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
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            driver = os.pread(handle, 20, 0).decode(errors="replace")
            os.close(handle)
            by, end = (f"process {driver}", f", or end it: kill {driver}") if driver.isdecimal() else ("a process", "")
            raise RefusedError(
                f"the robot at {self._address} is already driven by {by} on this computer. Wait for it to end{end}"
            ) from error
        except OSError:  # a disk without locks
            os.close(handle)
            return
        with contextlib.suppress(OSError):  # another user's file: it can be locked, though not written
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle

    def close(self) -> None:
        """Give it back. Safe to call twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


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
    name = f"reachy-kit-{_host(address)}-{address.port}.lock".replace(":", "-")
    return Path(tempfile.gettempdir()) / name


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
