"""A robot on one screen: its daemon, its driver, and what a run of ours publishes.

Nothing here commands the robot, so that it works beside whatever drives. Try it: reachy-kit top 127.0.0.1:8000
"""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reachy_kit.runtime.json_record import finite_json
from reachy_kit.runtime.robots.daemon import DaemonAddress, is_simulated, numeric_host
from reachy_kit.runtime.robots.link.driver_lock import driving_process, is_this_computer
from reachy_kit.runtime.robots.link.other_drivers import DriverQuestions
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.runtime.telemetry.machine_health import MachineHealth, read_machine_health
from reachy_kit.runtime.telemetry.metrics_server import DEFAULT_PORT, JSON_PATH, MetricsAddress, parse_metrics_address
from reachy_kit.runtime.telemetry.recent_values import Distribution, RecentValues
from reachy_kit.runtime.telemetry.run_snapshot import RunSnapshot, read_snapshot

_PATIENCE = 1.0
"""Longest wait for an answer, s."""
_HERE = "127.0.0.1"
_WINDOW = 60
"""Looks over which the daemon's answer times are shown."""


@dataclass(frozen=True)
class DaemonSnapshot:
    """What a daemon says of itself."""

    name: str
    """Name of the robot."""
    state: str
    """``running``, ``stopped`` and so on."""
    version: str
    simulated: bool
    motors: str
    """Mode of the motors; empty where the daemon does not know it."""
    error: str
    """What has gone wrong in the daemon; empty if nothing has."""
    in_charge: str
    """The app or the remote session that has the robot; empty without one."""
    move_plays: bool
    """Whether a move of the daemon's plays, or another client's ``goto``."""
    hertz: float | None
    """Mean rate of the daemon's own loop; None where it does not say so, as in a simulation."""
    longest_interval: float | None
    """Longest interval of that loop within its last second, s."""


@dataclass(frozen=True)
class RobotView:
    """A robot at one instant, as far as can be seen from here."""

    address: DaemonAddress
    metrics: MetricsAddress
    """Where a run is looked for."""
    daemon: DaemonSnapshot | None
    """None while the daemon does not answer."""
    answered: Distribution | None
    """Time until the daemon answered, s, over the last looks; None before its first answer."""
    silent_for: float | None
    """s since the daemon's last answer; None before the first one."""
    run: RunSnapshot | None
    """None where no run publishes."""
    machine: MachineHealth | None
    """The robot's computer; None where it can be read neither from here nor from a run there."""
    local_driver: int | None
    """Process of this computer that drives the robot; None where there is none, or none of ours."""

    @property
    def driver(self) -> str:
        """What drives the robot, as far as it is known."""
        if self.daemon and self.daemon.in_charge:
            return self.daemon.in_charge
        if self.run and self.is_driven_by_run:
            of = "" if self.run.driver == self.run.command else f", of {self.run.command}"
            return f"{self.run.driver}{of} (process {self.run.process})"
        if self.local_driver:
            return f"{_command_of(self.local_driver)} (process {self.local_driver} of this computer)"
        if self.daemon and self.daemon.move_plays:
            return "a move that the daemon plays"
        return ""

    @property
    def is_driven_by_run(self) -> bool:
        """Whether the run that was found drives this robot; a computer may hold several simulated ones."""
        port = self.run.robot.rpartition(":")[2] if self.run else ""
        return port == str(self.address.port)

    def record(self) -> dict[str, Any]:
        """Return it as JSON; times in s."""
        record: dict[str, Any] = finite_json(
            {
                "address": str(self.address),
                "driver": self.driver,
                "daemon": self.daemon and asdict(self.daemon),
                "answer_seconds": self.answered and asdict(self.answered),
                "silent_for": self.silent_for,
                "run": self.run and self.run.record(),
                "machine": self.machine and asdict(self.machine),
            }
        )
        return record


class RobotWatch:
    """Looks at a robot, again and again; a daemon that goes away is found again when it comes back.

    Args:
        address: of its daemon.
        metrics: ``PORT`` or ``HOST:PORT`` where a run publishes; empty for the usual port of the robot's computer.

    Raises:
        WrongUseError: that is not an address.
    """

    def __init__(self, address: DaemonAddress, metrics: str = "") -> None:
        self._address = address
        self._metrics = parse_metrics_address(metrics or str(DEFAULT_PORT), address.host)
        self._answers = RecentValues(_WINDOW)
        self._answered_at: float | None = None

    def look(self) -> RobotView:
        """Ask the daemon and the run now; takes up to ``_PATIENCE`` s for each that does not answer."""
        daemon = self._ask_daemon()
        run = self._ask_run()
        machine = run.machine if run and self._metrics.host == self._address.host else None
        if is_this_computer(self._address.host):
            machine = read_machine_health()
        return RobotView(
            self._address,
            self._metrics,
            daemon,
            self._answers.distribution(),
            None if self._answered_at is None else time.monotonic() - self._answered_at,
            run,
            machine,
            driving_process(self._address),
        )

    def _ask_daemon(self) -> DaemonSnapshot | None:
        with _asking(self._address.host, self._address.port) as connection:
            asked = time.monotonic()
            status = _ask(connection, "/api/daemon/status")
            if not isinstance(status, dict) or "state" not in status:
                return None
            self._answered_at = time.monotonic()
            self._answers.add(self._answered_at - asked)
        with contextlib.closing(DriverQuestions(self._address)) as questions:
            return _daemon_snapshot(status, questions.app_in_charge() or "", questions.move_is_playing())

    def _ask_run(self) -> RunSnapshot | None:
        with _asking(self._metrics.host, self._metrics.port) as connection:
            return read_snapshot(_ask(connection, JSON_PATH))


def watching_command(robot: str, published_at: MetricsAddress) -> str:
    """The command that shows a run.

    Args:
        robot: name of the robot that it drives; for a daemon its address.
        published_at: where it publishes.
    """
    host, colon, _ = robot.partition(":")
    robot, host = (robot, host) if colon and host else (_HERE, _HERE)
    metrics: object = "" if published_at.port == DEFAULT_PORT else published_at.port
    if _as_seen_here(published_at.host) != _as_seen_here(host):
        metrics = MetricsAddress(_as_seen_here(published_at.host), published_at.port)
    return compose_command("top", robot, metrics=metrics)


def _as_seen_here(host: str) -> str:
    """A host as a program on this computer reaches it; a run may publish at all addresses of the computer."""
    return _HERE if host in ("localhost", "0.0.0.0", "::") else host


def _daemon_snapshot(status: dict[str, Any], in_charge: str, move_plays: bool) -> DaemonSnapshot:
    backend = status.get("backend_status") or {}
    loop = backend.get("control_loop_stats") or {}
    return DaemonSnapshot(
        name=str(status.get("robot_name") or ""),
        state=str(status["state"]),
        version=str(status.get("version") or ""),
        simulated=is_simulated(status),
        motors=str(backend.get("motor_control_mode") or ""),
        error=str(status.get("error") or backend.get("error") or ""),
        in_charge=in_charge,
        move_plays=move_plays,
        hertz=loop.get("mean_control_loop_frequency"),
        longest_interval=loop.get("max_control_loop_interval"),
    )


@contextlib.contextmanager
def _asking(host: str, port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(numeric_host(host), port, timeout=_PATIENCE)
    try:
        yield connection
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, path: str) -> Any:
    """The answer; None where there is none, or another one than JSON."""
    try:
        connection.request("GET", path)
        return json.load(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()
        return None


def _command_of(process: int) -> str:
    """The command of a process, without the interpreter and folders."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "a program"
    start = next((index for index, word in enumerate(words) if Path(word).name == "reachy-kit"), 0)
    return " ".join([Path(words[start]).name, *words[start + 1 :]]).strip() or "a program"
