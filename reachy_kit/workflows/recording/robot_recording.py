"""Recording on the robot's own computer, controlled from here: the Wi-Fi may drop out in mid-take, and costs nothing.

Try it: reachy-kit record --on-robot pollen@reachy-mini.local --teleop hand --out data/by_hand
"""

import contextlib
import getpass
import hashlib
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reachy_kit.dataset.episode_import import append_episodes
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.recording_folder import is_new
from reachy_kit.dataset.saving.imported_takes import read_imported_takes
from reachy_kit.deploy.episode_pull import list_episodes, pull_episode, remove_episodes
from reachy_kit.deploy.recorder_client import (
    RecorderClient,
    connect_recorder,
    raise_end,
    recorder_status,
    start_recorder,
)
from reachy_kit.deploy.robot_python import RobotPython, find_python
from reachy_kit.deploy.robot_shell import ConnectionCut, RobotShell, open_shell
from reachy_kit.deploy.robot_wheels import wheels_for
from reachy_kit.deploy.runtime_installation import FOLDER, InstalledRuntime, install_runtime
from reachy_kit.deploy.ssh_login import LoginPassword, LoginPrompts, SshAddress, parse_ssh_address
from reachy_kit.runtime.errors import KitError, NoRobotError
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.perception.targets.target_registry import BALL, target_by_name
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.on_robot.recording_order import RecordingOrder
from reachy_kit.runtime.recording.schema import SEED
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, LiveView, SessionScreen
from reachy_kit.runtime.recording.takes.take_keys import SESSION_CONTROLS
from reachy_kit.runtime.robots.daemon import DEFAULT_PORT
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, runs_on_robot, split_argument
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.recording.device_session import connected_device, open_device_session
from reachy_kit.workflows.recording.episode_seeds import remaining_seeds
from reachy_kit.workflows.recording.person_recording import check_instructions, check_pseudonym
from reachy_kit.workflows.recording.robot_controls import FarRobot, TakeControls

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant

SCRIPTED = "scripted"
_RECONNECT_SECONDS, _RECONNECT_EVERY = 90.0, 1.0
"""How long to try to reach the robot again, and how often, s: longer than the recorder's patience there."""


class RobotPrompts(LoginPrompts, Protocol):
    """Asks a person, for logging in and at the end."""

    def remove_from_robot(self, episodes: int, robot: str) -> bool:
        """Whether to remove episodes from the robot that were brought into the dataset, whole and verified."""
        ...


@dataclass(frozen=True)
class RobotRecording:
    """What to record on a robot, and into which dataset."""

    out: Path
    host: SshAddress
    variant: "Variant"
    teleop: str
    episodes: int
    """Number that the dataset holds in the end."""
    camera: bool
    hz: int
    seed: int
    seconds: float | None
    """Length of a take, s; None = until the person stops it."""
    operator: str
    instructions: tuple[str, ...]
    target: str = BALL
    """What perception looks for in the camera's images."""
    port: int = DEFAULT_PORT
    """Of the daemon, on the robot."""
    patience: float = 60.0
    """Time without this computer after which the recorder ends its session, s."""

    @property
    def session(self) -> str:
        """Name of the session: the same command on the same computer finds it again."""
        place = f"{platform.node()}:{self.out.resolve()}"
        return f"{self.out.resolve().name}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"

    @property
    def pulled(self) -> Path:
        """Folder of the episode files on this computer, until the dataset holds them."""
        return self.out.with_name(f".{self.out.name}.from-robot")


def record_on_robot(
    out: Path,
    host: str,
    variant: "Variant",
    prompts: RobotPrompts,
    *,
    teleop: str,
    episodes: int,
    camera: bool,
    hz: int,
    seed: int,
    seconds: float | None = None,
    operator: str = "",
    instructions: Sequence[str] = (),
    screen: SessionScreen = NO_SCREEN,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> int:
    """Record takes on the robot's own computer until the dataset here holds as many episodes as are wanted.

    Args:
        out: folder of the dataset; an existing one is continued.
        host: ``[USER@]HOST[:PORT]`` of the robot's computer, for SSH.
        variant: of the task.
        prompts: asks a person.
        teleop: the device, ``NAME`` or ``NAME:ARGUMENT``; one of the desktop's drives over the network.
        episodes: number that the dataset holds in the end.
        camera: whether to keep the camera's images.
        hz: decisions per second.
        seed: seed of the episodes.
        seconds: length of a take; None = until the person stops it.
        operator: pseudonym of the person.
        instructions: tasks in words; the person chooses among them. None for the task's own.
        screen: shows the session.
        reporter: shows the progress.
        settings: other fields of `RobotRecording`.

    Returns:
        Episodes that the dataset holds.

    Raises:
        WrongUseError: an argument does not fit.
        NoRobotError: nothing answers there, or the connection is lost for good; what was recorded stays on the robot.
        RefusedError: the robot's key is not accepted, or another desktop records there.
        KitError: the robot's computer lacks something, or a disk is full; what was saved is kept.
    """
    if teleop == SCRIPTED:
        seconds = variant.task.seconds
    recording = RobotRecording(
        out, parse_ssh_address(host), variant, teleop, episodes, camera, hz, seed, seconds, check_pseudonym(operator),
        check_instructions(instructions) or (variant.task.instruction,), **settings,
    )  # fmt: skip
    target_by_name(recording.target)  # before anything is installed: it exists
    desk, password = _Desk(recording, prompts, reporter), LoginPassword()
    while True:
        try:
            with open_shell(recording.host, prompts, password) as shell:
                return desk.work(shell, screen)
        except ConnectionCut as error:
            desk.lost(error)
        except NoRobotError as error:
            if desk.cut_at is None:
                raise
            desk.lost(error)


class _Desk:
    """The desktop's side of one recording, over as many connections as it takes.

    Args:
        recording: what to record.
        prompts: asks a person.
        reporter: shows the progress.
    """

    def __init__(self, recording: RobotRecording, prompts: RobotPrompts, reporter: Reporter) -> None:
        self._recording, self._prompts, self._reporter = recording, prompts, reporter
        self._started = False
        self.cut_at: float | None = None
        """When the connection was cut; None while there is one."""

    def lost(self, error: NoRobotError) -> None:
        """Wait for the next try to connect.

        Raises:
            NoRobotError: the robot has been away for too long.
        """
        host = self._recording.host
        if self.cut_at is None:
            self.cut_at = time.monotonic()
            self._reporter.note(f"the connection to {host} was lost. The recorder there continues; connecting again")
        if time.monotonic() - self.cut_at > _RECONNECT_SECONDS:
            raise NoRobotError(
                f"{error}, and {host} could not be reached again for {_RECONNECT_SECONDS:.0f} s. What was recorded "
                "stays on the robot; give the same command again to continue"
            ) from error
        time.sleep(_RECONNECT_EVERY)

    def work(self, shell: RobotShell, screen: SessionScreen) -> int:
        """Do what is left to do, over one connection; returns the episodes in the dataset."""
        recording, reporter = self._recording, self._reporter
        with reporter.working(f"looking at {recording.host}"):
            robot = find_python(shell)
        folder = f"{robot.home}/{FOLDER}/recordings/{recording.session}"
        client = connect_recorder(shell, f"{robot.home}/{FOLDER}", recording.session)
        self.cut_at = None
        end: dict[str, Any] | None = None
        if client is None and self._started:  # it ended while this computer was away
            end = recorder_status(shell, f"{robot.home}/{FOLDER}")
        elif client is not None:
            self._started = True
            reporter.note(f"the recorder on {recording.host} is running: continuing its session")
            running, offset = client, self._offset(shell, folder)
            with _stopped_on_failure(shell, running):
                end = self._control(shell, lambda view: running, offset, screen)
        else:
            total = self._pull(shell, folder)
            if total < recording.episodes:
                installed = self._install(shell, robot)
                order = self._order(shell, folder, total)

                def start(view: LiveView) -> RecorderClient:
                    view.reason = f"starting the recorder on {recording.host}"
                    started = start_recorder(shell, installed, order)
                    self._started = True
                    return started

                end = self._control(shell, start, recording.episodes - order.wanted, screen)
        total = self._pull(shell, folder)
        if end is not None and not end.get("ended", True):  # its last message is missing; its file says how it ended
            end = recorder_status(shell, f"{robot.home}/{FOLDER}") or end
        if end is not None and not end.get("ended", True):
            raise KitError(
                f"the recorder on {recording.host} ended unexpectedly. The {total} episodes in {recording.out} are "
                "kept; give the same command again to continue"
            )
        raise_end(end or {})
        self._offer_removal(shell, folder)
        return total

    def _install(self, shell: RobotShell, robot: RobotPython) -> InstalledRuntime:
        with self._reporter.working("preparing the runtime for the robot"):
            wheels = wheels_for(robot)
        with self._reporter.working(f"installing the runtime on {self._recording.host}"):
            installed = install_runtime(shell, robot, wheels)
        if installed.sent:
            self._reporter.note(f"installed version {installed.version} of the runtime on {self._recording.host}")
        return installed

    def _order(self, shell: RobotShell, folder: str, total: int) -> RecordingOrder:
        recording, stored = self._recording, _stored_seeds(self._recording.out)
        missing = recording.episodes - total
        seeds = remaining_seeds(recording.out, recording.seed, stored, missing)
        return RecordingOrder(
            session=recording.session,
            by=f"{_user()}@{platform.node()}",
            folder=folder,
            layout=_layout(recording),
            camera=recording.camera,
            wanted=len(list_episodes(shell, folder)) + missing,
            first_seed=seeds.start,
            seeds=len(seeds),
            instructions=list(recording.instructions),
            operator=recording.operator,
            seconds=recording.seconds,
            teleop=send_teleop(shell, recording.teleop, f"{folder}.argument"),
            target=recording.target,
            port=recording.port,
            patience=recording.patience,
        )

    def _offset(self, shell: RobotShell, folder: str) -> int:
        """Episodes of the dataset without those that came from the robot's folder; negative if some were dropped."""
        imported = read_imported_takes(self._recording.out)
        came = [episode for episode in list_episodes(shell, folder) if episode.take in imported]
        return len(_stored_seeds(self._recording.out)) - len(came)

    def _control(
        self, shell: RobotShell, connect: Callable[[LiveView], RecorderClient], offset: int, screen: SessionScreen
    ) -> dict[str, Any]:
        """Show the session and send what the person wants; returns the recorder's last message.

        The device is opened first: without one the robot does not stand up.
        """
        recording = self._recording
        name, _ = split_argument(recording.teleop)
        with open_device_session(
            recording.teleop, str(recording.host), recording.hz, recording.variant, screen, SESSION_CONTROLS
        ) as opened:
            opened.view.wanted = recording.episodes
            there = runs_on_robot(name)
            far = FarRobot(str(recording.host))
            with contextlib.nullcontext() if there else connected_device(opened.device, far):
                client, device = connect(opened.view), None if there else opened.device
                return TakeControls(client, opened, device, offset, automatic=name == SCRIPTED).run(shell)

    def _pull(self, shell: RobotShell, folder: str) -> int:
        """Bring the takes home that were never imported into the dataset; returns the episodes in it."""
        recording, reporter = self._recording, self._reporter
        imported = read_imported_takes(recording.out)
        missing = [episode for episode in list_episodes(shell, folder) if episode.take not in imported]
        if not missing:
            shutil.rmtree(recording.pulled, ignore_errors=True)
            return len(_stored_seeds(recording.out))
        with reporter.progress("pulling from the robot", total=len(missing)) as advance:
            for episode in missing:
                pull_episode(shell, folder, episode.index, recording.pulled)
                advance()
        with reporter.working("importing into the dataset (LeRobot takes a while to load)"):
            total = append_episodes(recording.pulled, recording.out, [episode.index for episode in missing])
        shutil.rmtree(recording.pulled, ignore_errors=True)
        return total

    def _offer_removal(self, shell: RobotShell, folder: str) -> None:
        imported = read_imported_takes(self._recording.out)
        there = list_episodes(shell, folder)
        if there and all(episode.take in imported for episode in there):
            host = str(self._recording.host)
            if self._prompts.remove_from_robot(len(there), host):
                remove_episodes(shell, folder)
            else:
                self._reporter.note(f"the robot keeps its copy of {len(there)} episodes in {folder}")


@contextlib.contextmanager
def _stopped_on_failure(shell: RobotShell, client: RecorderClient) -> Iterator[None]:
    """End the session on the robot if this computer fails to control it, other than by losing the connection."""
    try:
        yield
    except ConnectionCut:
        raise
    except BaseException:
        client.send({"type": "event", "event": TakeEvent.STOP_NOW.value})
        with contextlib.suppress(ConnectionCut):
            shell.run("true")  # what was sent has arrived
        raise


def send_teleop(shell: RobotShell, teleop: str, place: str) -> str:
    """The device for the robot; empty for the desktop's. An argument that is a file or a folder is sent there."""
    name, argument = split_argument(teleop)
    if not runs_on_robot(name):
        return ""
    path = Path(argument)
    if not argument or not path.exists():
        return teleop
    folder = path.parent if path.is_file() else path
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    shell.run("rm", "-rf", "--", place)
    for file in files:
        shell.send_file(file, f"{place}/{file.relative_to(folder).as_posix()}")
    return f"{name}:{place}/{path.name}" if path.is_file() else f"{name}:{place}"


def _stored_seeds(out: Path) -> list[int]:
    """The seed of each episode that a dataset holds; none where there is no dataset."""
    if not out.exists() or is_new(out):
        return []
    dataset = open_for_reading(out)
    return [int(dataset.read(episode.table, SEED)[episode.index][SEED][0]) for episode in dataset.episodes]


def _layout(recording: RobotRecording) -> dict[str, Any]:
    features = TARGET_FEATURES if recording.camera else ()
    layout = DatasetLayout(
        task=recording.variant.task.name,
        instruction=recording.instructions[0],
        environment_state=features,
        environment_state_units=units_of(features),
        policy_hz=recording.hz,
        provenance={
            "teleop": recording.teleop,
            "variant": recording.variant.name,
            "perception": "detector" if recording.camera else "none",
            "reachy-kit": version("reachy-kit"),
            **({} if recording.target == BALL else {"target": recording.target}),
        },
    )
    return vars(replace(layout))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "somebody"
