"""Keeps every Python of a test run on this computer: looking up a name or connecting elsewhere fails and leaves a line.

A test could move a real robot: the SDK tries ``reachy-mini.local`` by itself. tests/conftest.py loads this into the
processes of pytest and puts this folder on PYTHONPATH, for each Python that a test starts. Not watched: what looks
names up without Python (Chromium has a rule of its own in tests/browser), and a Python without that PYTHONPATH.
"""

import errno
import os
import sys

FILE = "OUTSIDE_LOOPBACK"
"""Variable with the file that attempts are added to."""
_HERE = ("", "localhost", "0.0.0.0", "::", "::1", os.uname().nodename.lower())
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_DATAGRAM = 2  # socket.SOCK_DGRAM
_NUMERIC_HOST = 4  # socket.AI_NUMERICHOST: only whether it is an address is asked, of nobody


class OutsideError(Exception):
    """A test reaches beyond this computer. Not an OSError: what handles a network that fails does not handle this."""


def _text(host: object) -> str:
    text = host.decode(errors="replace") if isinstance(host, bytes | bytearray) else str(host or "")
    return text.lower().rstrip(".")


def _is_number(host: str) -> bool:
    """Whether it is an address: looking that up asks nobody."""
    return ":" in host or not host.strip("0123456789.")


def _is_here(host: str) -> bool:
    return host in _HERE or host.startswith(("127.", "::ffff:127."))


def _watch(event: str, arguments: tuple) -> None:
    if event in _LOOKUPS:
        host, flags = _text(arguments[0]), sys._getframe(1).f_locals.get("flags", 0)  # which the event lacks
        if not _is_here(host) and not _is_number(host) and not flags & _NUMERIC_HOST:
            _refuse(event, host)
    elif event in _CONNECTS:
        connection, address = arguments
        if not isinstance(address, tuple) or not isinstance(address[0], str | bytes):
            return  # a Unix socket, or one of the kernel's own
        host = _text(address[0])
        if _is_here(host):
            return
        asks = event == "socket.connect"  # for an address of this computer, and sends nothing
        announces = any("reachy-mini-daemon" in argument for argument in sys.orig_argv)  # a daemon in its network
        if connection.type == _DATAGRAM and (asks or announces):
            raise OSError(errno.ENETUNREACH, "tests have no network")
        _refuse(event, host)


def _refuse(event: str, host: str) -> None:
    line = f"{event} {host} by {' '.join(sys.orig_argv)[:300]}".replace("\n", " ")
    if path := os.environ.get(FILE):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)  # without an import in every interpreter
        os.write(file, f"{line}\n".encode(errors="backslashreplace"))
        os.close(file)
    raise OutsideError(f"a test reaches beyond this computer: {line}")


sys.addaudithook(_watch)
