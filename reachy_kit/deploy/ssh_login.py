"""Logging in to a robot over SSH: its key is confirmed once, and a password is asked for where no key is accepted.

Keys, agent, ``~/.ssh/config`` and ``~/.ssh/known_hosts`` are those of the ``ssh`` command.
"""

import logging
import shlex
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reachy_kit.runtime.errors import KitError, MissingPackageError, NoRobotError, RefusedError, WrongUseError

if TYPE_CHECKING:
    import asyncssh

DEFAULT_PORT = 22
CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS, KEEPALIVES = 1, 2
"""A peer that does not answer is given up after 3 s: a Wi-Fi that drops out is noticed, a slow one is not."""
_TRIES = 3


@dataclass(frozen=True)
class SshAddress:
    """Where to log in."""

    host: str
    user: str | None = None
    port: int | None = None
    """None for what ``~/.ssh/config`` says."""

    def __str__(self) -> str:
        user, port = (f"{self.user}@" if self.user else ""), (f":{self.port}" if self.port else "")
        return f"{user}{self.host}{port}"


class LoginPrompts(Protocol):
    """Asks a person."""

    def accept_key(self, host: str, fingerprint: str) -> bool:
        """Whether the key of a robot that is not known yet is the robot's."""
        ...

    def password(self, login: str) -> str | None:
        """The password of a login; None where there is nobody to ask."""
        ...


@dataclass
class LoginPassword:
    """A password, in memory for the time of a command: after a Wi-Fi dropped out it is not asked for again."""

    entered: str | None = field(default=None, repr=False)


class Wait(Protocol):
    """Works in the event loop of a connection, while the calling thread waits."""

    def __call__[T](self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work."""
        ...


def parse_ssh_address(option: str) -> SshAddress:
    """User, host and port in ``[USER@]HOST[:PORT]``.

    Raises:
        WrongUseError: the host is missing or the port is not a number.
    """
    user, at, rest = option.rpartition("@")
    host, colon, port = rest.partition(":")
    if not host or host.startswith("-") or (at and not user):
        raise WrongUseError(f"--on-robot {option}: give [USER@]HOST[:PORT], as in pollen@reachy-mini.local")
    if colon and not (port.isdecimal() and 0 < int(port) < 2**16):
        raise WrongUseError(f"--on-robot {option}: the port must be a number, as in pollen@reachy-mini.local:22")
    return SshAddress(host, user or None, int(port) if colon else None)


def log_in(
    address: SshAddress, prompts: LoginPrompts, password: LoginPassword, wait: Wait
) -> "asyncssh.SSHClientConnection":
    """Log in to a robot.

    Args:
        address: of the robot.
        prompts: asks a person, in this thread.
        password: the one that was entered before, if any; one that is entered now is kept there.
        wait: works in the connection's event loop, and waits here.

    Returns:
        The connection.

    Raises:
        RefusedError: the robot's key is not accepted, or is another one than before.
        NoRobotError: nothing answers there, or the login is refused.
    """
    try:
        import asyncssh
    except ModuleNotFoundError as error:
        raise MissingPackageError("asyncssh is not installed here, which --on-robot needs", "deploy") from error
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        for tries_left in reversed(range(_TRIES + 1)):
            try:
                return wait(_connect(address, password.entered))
            except asyncssh.HostKeyNotVerifiable:
                _confirm_key(address, prompts, wait)
                return log_in(address, prompts, password, wait)
            except asyncssh.PermissionDenied as error:
                password.entered = prompts.password(str(address)) if tries_left else None
                if password.entered is None:
                    raise NoRobotError(
                        f"{address} refuses the login. Check user and password, or install a key: "
                        f"ssh-copy-id {_ssh(address)}"
                    ) from error
    except (OSError, asyncssh.Error) as error:
        raise NoRobotError(
            f"{address} does not answer over SSH ({_reason(error)}). Is the robot switched on and in this network?"
        ) from error
    raise AssertionError("unreachable")


async def _connect(address: SshAddress, password: str | None) -> "asyncssh.SSHClientConnection":
    import asyncssh

    return await asyncssh.connect(
        address.host,
        **_given(address),
        **({} if password is None else {"password": password}),
        connect_timeout=CONNECT_SECONDS,
        login_timeout=CONNECT_SECONDS,
        keepalive_interval=KEEPALIVE_SECONDS,
        keepalive_count_max=KEEPALIVES,
    )


def _given(address: SshAddress) -> dict[str, Any]:
    """What the address says beside the host; ``~/.ssh/config`` says the rest."""
    options = {"username": address.user, "port": address.port}
    return {name: value for name, value in options.items() if value is not None}


def _confirm_key(address: SshAddress, prompts: LoginPrompts, wait: Wait) -> None:
    """Let a person confirm the key of a robot that is not known yet, and keep it as ``ssh`` does."""
    import asyncssh

    options = wait(  # config: without it the user's is not read
        asyncssh.SSHClientConnectionOptions.construct(None, config=(), host=address.host, **_given(address))
    )
    host = options.host_key_alias or options.host
    port = None if options.host_key_alias or options.port == DEFAULT_PORT else options.port
    name = f"[{host}]:{port}" if port else host
    known = Path.home() / ".ssh/known_hosts"
    if known.exists() and any(asyncssh.match_known_hosts(str(known), host, "", port)[:3]):
        raise RefusedError(
            f"the key of {name} has changed since the last time: this may be another computer. If the robot "
            f"was set up again, forget the old key: ssh-keygen -R {shlex.quote(name)}"
        )
    key = wait(asyncssh.get_server_host_key(options.host, options.port, options=options))
    if key is None or not prompts.accept_key(name, key.get_fingerprint()):
        raise RefusedError(
            f"the key of {name} was not confirmed. Compare it with the robot's, or log in once: ssh {_ssh(address)}"
        )
    _remember_key(known, f"{name} {key.export_public_key().decode().strip()}\n")


def _remember_key(known: Path, line: str) -> None:
    try:
        known.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished = known.exists() and not known.read_bytes().endswith(b"\n") and known.stat().st_size > 0
        with known.open("a") as file:
            file.write("\n" * unfinished + line)
    except OSError as error:
        raise KitError(f"{known} cannot be written ({error.strerror}). Make room, or log in once with ssh") from error


def _ssh(address: SshAddress) -> str:
    """The arguments of ``ssh`` for an address."""
    port = f"-p {address.port} " if address.port else ""
    return f"{port}{address.user + '@' if address.user else ''}{address.host}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
