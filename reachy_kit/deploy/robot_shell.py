"""A robot's own computer over SSH, for code that waits: commands, files, and the recorder's socket.

asyncssh works in a thread of its own. What is cut off raises `ConnectionCut`; every step can be given again.
"""

import asyncio
import concurrent.futures
import contextlib
import posixpath
import shlex
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.deploy.ssh_login import LoginPassword, LoginPrompts, SshAddress, log_in
from reachy_kit.runtime.errors import KitError, NoRobotError

if TYPE_CHECKING:
    import asyncssh

_BLOCK = 1 << 16
_END_SECONDS = 2.0
"""Longest wait for the end of a connection, s."""
COMMAND_SECONDS = 120.0
"""Longest time of a command on the robot, s; unpacking OpenCV and pyarrow there is the longest."""


class ConnectionCut(NoRobotError):  # noqa: N818  (a state of the network, not a fault of the program)
    """The connection to the robot was cut. What runs there continues."""


@dataclass(frozen=True)
class Output:
    """Output of a command."""

    code: int
    out: str
    err: str


class RobotShell:
    """An open connection to a robot's computer.

    Args:
        address: of the robot.
        connection: logged in.
        loop: in which the connection works.
    """

    def __init__(
        self, address: SshAddress, connection: "asyncssh.SSHClientConnection", loop: asyncio.AbstractEventLoop
    ) -> None:
        self.address = address
        self._connection, self._loop = connection, loop
        self._sftp: asyncssh.SFTPClient | None = None

    def run(self, *command: str, text: str = "") -> Output:
        """Run a command and wait for its end.

        Args:
            command: program and arguments.
            text: its standard input.

        Raises:
            ConnectionCut: the connection was cut; the command may have run.
        """
        return self._wait(self._run(shlex.join(command), text))

    def read(self, path: str) -> bytes | None:
        """Content of a file; None if there is none."""
        return self._wait(self._read(path))

    def write(self, path: str, content: bytes) -> None:
        """Write a file, completely or not at all.

        Raises:
            KitError: it cannot be written.
        """
        self._wait(self._write(path, content))

    def send_file(self, source: Path, path: str) -> None:
        """Copy a file to the robot; what is there of an earlier copy that was cut off is not sent again.

        Raises:
            KitError: it cannot be written there.
        """
        self._wait(self._send_file(source, path), within=None)

    def fetch_file(self, path: str, place: Path) -> None:
        """Copy a file from the robot; what is here of an earlier copy that was cut off is not sent again.

        Raises:
            KitError: it cannot be read there, or written here.
        """
        self._wait(self._fetch_file(path, place), within=None)

    def list_folder(self, path: str) -> list[str]:
        """Names in a folder; none where there is no folder."""
        return self._wait(self._list(path))

    def free_bytes(self, path: str) -> int:
        """Bytes that are free on the disk of a folder that exists."""
        return self._wait(self._free(path))

    def open_socket(self, path: str) -> "RobotSocket":
        """Connect to a Unix socket on the robot.

        Raises:
            ConnectionRefusedError: nothing listens there.
        """
        return self._wait(self._open_socket(path))

    def _wait[T](self, work: Coroutine[Any, Any, T], within: float | None = COMMAND_SECONDS) -> T:
        import asyncssh

        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within)
        except (
            asyncssh.ConnectionLost,
            asyncssh.DisconnectError,
            BrokenPipeError,
            concurrent.futures.TimeoutError,
        ) as error:
            future.cancel()
            raise ConnectionCut(f"the connection to {self.address} was cut") from error
        except asyncssh.SFTPError as error:
            if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
                raise ConnectionCut(f"the connection to {self.address} was cut") from error
            raise KitError(f"{self.address}: {error.reason}. Is its disk full, or read-only?") from error
        except asyncssh.ChannelOpenError as error:
            if self._connection.is_closed():
                raise ConnectionCut(f"the connection to {self.address} was cut") from error
            raise ConnectionRefusedError(str(error)) from error
        except OSError as error:  # of this computer's files: those of the robot raise SFTPError
            place = error.filename or "a file on this computer"
            raise KitError(
                f"{place} cannot be read or written ({error.strerror}). If the disk is full, make room"
            ) from error

    async def _run(self, command: str, text: str) -> Output:
        ended = await self._connection.run(command, input=text, check=False)
        if ended.exit_status is None:
            raise BrokenPipeError
        return Output(ended.exit_status, str(ended.stdout), str(ended.stderr))

    async def _client(self) -> "asyncssh.SFTPClient":
        if self._sftp is None:
            self._sftp = await self._connection.start_sftp_client()
        return self._sftp

    async def _read(self, path: str) -> bytes | None:
        sftp = await self._client()
        if not await sftp.exists(path):
            return None
        async with sftp.open(path, "rb") as file:
            content: Any = await file.read()
            return bytes(content)

    async def _write(self, path: str, content: bytes) -> None:
        sftp = await self._client()
        await sftp.makedirs(posixpath.dirname(path), exist_ok=True)
        async with sftp.open(f"{path}.partial", "wb") as file:
            await file.write(content)
            await file.fsync()
        await sftp.posix_rename(f"{path}.partial", path)

    async def _send_file(self, source: Path, path: str) -> None:
        sftp, size = await self._client(), source.stat().st_size
        partial = f"{path}.partial"
        await sftp.makedirs(posixpath.dirname(path), exist_ok=True)
        done = (await sftp.stat(partial)).size or 0 if await sftp.exists(partial) else 0
        done = done if done <= size else 0
        with source.open("rb") as local:
            local.seek(done)
            async with sftp.open(partial, "ab" if done else "wb") as file:
                while block := local.read(_BLOCK):
                    await file.write(block)
                await file.fsync()
        await sftp.posix_rename(partial, path)

    async def _fetch_file(self, path: str, place: Path) -> None:
        sftp = await self._client()
        partial = place.with_name(f"{place.name}.partial")
        place.parent.mkdir(parents=True, exist_ok=True)
        async with sftp.open(path, "rb") as file:
            size = (await file.stat()).size or 0
            done = partial.stat().st_size if partial.exists() else 0
            done = done if done <= size else 0
            await file.seek(done)
            with partial.open("ab" if done else "wb") as local:
                source: Any = file  # its type leaves open whether it reads text
                while block := await source.read(_BLOCK):
                    local.write(block)
        partial.replace(place)

    async def _list(self, path: str) -> list[str]:
        sftp = await self._client()
        if not await sftp.exists(path):
            return []
        return sorted(str(name) for name in await sftp.listdir(path) if name not in (".", ".."))

    async def _free(self, path: str) -> int:
        disk = await (await self._client()).statvfs(path)
        return int(disk.bavail * disk.frsize)

    async def _open_socket(self, path: str) -> "RobotSocket":
        reader, writer = await self._connection.open_unix_connection(path)
        return RobotSocket(reader, writer, self._loop)


class RobotSocket:
    """A line to the recorder on the robot: lines of bytes, in both directions.

    Args:
        reader: from the robot.
        writer: to the robot.
        loop: in which they work.
    """

    def __init__(self, reader: Any, writer: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._reader, self._writer, self._loop = reader, writer, loop

    def lines(self) -> Iterator[bytes]:
        """Lines that arrive, until the connection ends."""
        while True:
            future = asyncio.run_coroutine_threadsafe(self._reader.readline(), self._loop)
            try:
                line = future.result()
            except Exception:  # asyncssh and asyncio each raise their own: the end, whatever its reason
                return
            if not line.endswith(b"\n"):
                return
            yield bytes(line)

    def send(self, line: bytes) -> None:
        """Send a line, without waiting for the network."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._send, line)

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(Exception):  # the reader notices that the connection has ended
            self._writer.write(line)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._writer.close)


@contextlib.contextmanager
def open_shell(
    address: SshAddress, prompts: LoginPrompts, password: LoginPassword | None = None
) -> Iterator[RobotShell]:
    """Log in to a robot. Questions are asked in the calling thread, where Ctrl-C leaves the terminal as it was.

    Args:
        address: of the robot.
        prompts: asks a person.
        password: the one that was entered before, if any; kept for the next time.

    Raises:
        RefusedError: the robot's key is not accepted.
        NoRobotError: nothing answers there, or the login is refused.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    connection: Any = None
    try:

        def wait[T](work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        connection = log_in(address, prompts, password or LoginPassword(), wait)
        yield RobotShell(address, connection, loop)
    finally:
        with contextlib.suppress(concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(_end(connection), loop).result(_END_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_END_SECONDS)


async def _end(connection: Any) -> None:
    """End a connection, and what still works on it."""
    if connection is not None:
        connection.abort()
        await connection.wait_closed()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
