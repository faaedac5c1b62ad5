"""The live view: a page, a 3D scene, and the thread that keeps both up to date while the loop runs.

Try it: reachy-kit view --task track --policy expert
"""

import contextlib
import io
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import viser

from reachy_kit.runtime.interface import CONTROL_HZ, Perception, Policy, Robot, World
from reachy_kit.runtime.rollout import rollout
from reachy_sim.rendering.robot_drawing import RobotDrawing
from reachy_sim.view.controls import Controls, HoldPolicy, InterventionPolicy, StartAgainError, WatchedRobot
from reachy_sim.view.page_server import PageServer
from reachy_sim.view.panel import Panel, ViewInfo
from reachy_sim.view.scene import RobotScene
from reachy_sim.view.snapshots import Snapshot, SnapshotBuffer
from reachy_sim.view.stream import PictureStream
from reachy_sim.view.task_info import tolerance_of, variants_of

if TYPE_CHECKING:
    from reachy_sim.tasks.task import Task

_PANEL_WIDTH = 340
"""CSS pixels."""
_HOUR = 3600.0
"""s, length of an episode that has no end of its own."""


@dataclass(frozen=True)
class ViewConfig:
    """Where the page is, and what it begins with."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes any free one."""
    robot: str = "sim"
    seed: int = 0
    variant: str = "training"
    paused: bool = False


class LiveView:
    """Shows rollouts in a browser, and lets the person there interfere.

    Args:
        config: where, and what to begin with.
        task: what is shown; None on hardware.

    Raises:
        KitError: the port is in use.
    """

    def __init__(self, config: ViewConfig, task: "Task | None") -> None:
        self.config = config
        self._task = task
        self._controls = Controls(config.seed, config.variant, paused=config.paused)
        self._moments = SnapshotBuffer()
        self._cast = ViewInfo(task.name if task else "free", config.robot, tolerance=tolerance_of(task))
        if task:
            self._cast.error = task.spec.error
        self._door = PageServer(config.host, config.port)  # first: it is there while the rest loads
        self._stream = PictureStream(lambda: self._moments.latest)
        self._closing = threading.Event()

    def __enter__(self) -> "LiveView":
        with contextlib.ExitStack() as stack:
            stack.callback(self._door.close)
            stack.callback(self._stream.close)
            self._figure = RobotDrawing()
            with _quiet():
                self._server = viser.ViserServer(self.config.host, self._door.port + 1, verbose=False)
            stack.callback(self._stop_server)
            self._server.gui.configure_theme(show_logo=False, show_share_button=False)
            self._server.gui.set_panel_label("Reachy Mini")
            self._server.gui.main_panel.dock_right()
            self._server.gui.main_panel.set_width(_PANEL_WIDTH)
            self._scene = RobotScene(self._server, self._figure)
            variants = variants_of(self._task)
            self._panel = Panel(
                self._server.gui, self._controls, self._cast, variants, lambda: self._moments.latest.action
            )
            self._display = threading.Thread(target=self._show, name="display", daemon=True)
            stack.callback(self._end_display)
            self._display.start()
            self._door.open(self._server.get_port(), self._controls, self._cast, lambda: self._moments, self._stream)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    @property
    def welcome(self) -> str:
        """What to tell the person in the terminal."""
        warning = (
            ""
            if self.config.host in ("127.0.0.1", "localhost", "::1")
            else "\nwarning: there is no password; whoever reaches this computer can move the robot"
        )
        return f"the robot is at {self._door.url} (3D at port {self._server.get_port()}); Ctrl-C ends it{warning}"

    @property
    def variant(self) -> str:
        """The one that the person has chosen."""
        return self._controls.variant

    def open_browser(self) -> None:
        """Show the page on this computer."""
        webbrowser.open(self._door.url)

    def play(
        self,
        robot: Robot,
        policy: Policy | None,
        label: str,
        *,
        policy_hz: int,
        perception: Perception | None,
        world: World | None,
        pace: bool,
    ) -> None:
        """Run episodes until another variant is chosen.

        Args:
            robot: connected.
            policy: who drives; None for nobody but the person.
            label: the policy's name.
            policy_hz: decisions a second.
            perception: fills ``environment_state``.
            world: ground truth, where there is one.
            pace: whether the robot is a simulation that would run away from the wall clock.
        """
        variant = self._controls.variant
        self._moments = SnapshotBuffer(world)
        self._cast.variant, self._cast.policy, self._cast.ticks = variant, label, CONTROL_HZ // policy_hz
        decisions = None if policy is None or self._task is None else round(self._task.seconds * policy_hz)
        watched = WatchedRobot(robot, self._controls, self._moments.observed, pace)
        driven = InterventionPolicy(policy or HoldPolicy(), self._controls, decisions)
        while self._controls.variant == variant:
            with contextlib.suppress(StartAgainError):
                rollout(
                    watched,
                    driven,
                    seconds=_HOUR,
                    policy_hz=policy_hz,
                    seed=self._controls.seed,
                    perception=perception,
                    world=world,
                    subscribers=[self._moments],
                )

    def _show(self) -> None:
        """Bring what is shown up to date: each part at its own rate, and only when there is something new."""
        parts = [
            _Part(1 / 25, self._show_robot),
            _Part(1 / 10, self._show_image),
            _Part(1 / 5, self._panel.show_text),
            _Part(1 / 4, lambda _: self._panel.show_plots(self._moments.recent)),
            _Part(1 / 2, self._show_picture),
        ]
        while not self._closing.wait(0.02):
            moments = self._moments
            now, stamp = (
                time.monotonic(),
                (id(moments), moments.count, self._controls.paused, self._controls.human_action is None),
            )
            for part in parts:
                part.show(now, stamp, moments.latest)

    def _show_robot(self, moment: Snapshot) -> None:
        self._figure.stand(moment.state, moment.target)
        self._scene.update()

    def _show_image(self, moment: Snapshot) -> None:
        if moment.image is not None:
            self._panel.show_image(moment.image)

    def _show_picture(self, moment: Snapshot) -> None:
        if self._panel.wants_picture:
            self._stream.want()
        self._panel.show_picture(self._stream.picture if self._panel.wants_picture else None)

    def _end_display(self) -> None:
        self._closing.set()
        self._display.join(timeout=5.0)

    def _stop_server(self) -> None:
        with _quiet():
            self._server.stop()


class _Part:
    """A part of what is shown, brought up to date at most so often.

    Args:
        period: s.
        update: shows a moment.
    """

    def __init__(self, period: float, update: Callable[[Snapshot], None]) -> None:
        self._period = period
        self._update = update
        self._due = 0.0
        self._stamp: object = None

    def show(self, now: float, stamp: object, moment: Snapshot) -> None:
        """Update, if it is time and something is new."""
        if now >= self._due and stamp != self._stamp:
            self._due, self._stamp = now + self._period, stamp
            self._update(moment)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without viser's own words on stdout: they name a port that nobody need open, and stdout is for results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
