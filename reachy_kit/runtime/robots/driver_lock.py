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
from reachy_kit.runtime.robots.daemon import DaemonAddress

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


def _open(address: DaemonAddress) -> int | None:
    """Open the lock's file, which all users of this computer share; None where that is impossible."""
    name = f"reachy-kit-{_host(address)}-{address.port}.lock".replace(":", "-")
    with contextlib.suppress(OSError):  # no temporary folder
        path = Path(tempfile.gettempdir()) / name
        # Without O_CREAT first: Linux refuses it for another user's file in a folder such as /tmp.
        for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            with contextlib.suppress(OSError):
                handle = os.open(path, flags | os.O_NOFOLLOW, 0o666)
                with contextlib.suppress(OSError):
                    os.fchmod(handle, 0o666)  # whatever the umask: another user writes its process there
                return handle
    return None


def _host(address: DaemonAddress) -> str:
    """The daemon's computer as an IP address, this one always as the same; its name where it cannot be resolved."""
    try:
        entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a name that cannot be resolved, or that cannot be a name
        return address.host
    family, *_, (host, *_) = min(entries, key=lambda entry: entry[0] != socket.AF_INET)
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))  # only this computer's own addresses can be bound
        return LOOPBACK
    return str(host)
