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

from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.behaviours.intervention import InterventionPolicy
from reachy_kit.runtime.interface import EndReason, Perception, Policy, Robot, Tick, World
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_sim.rendering.robot_drawing import RobotDrawing
from reachy_sim.view.controls import Controls
from reachy_sim.view.page_server import PageServer
from reachy_sim.view.panel import Panel, ViewInfo
from reachy_sim.view.robot_stream import RobotStream
from reachy_sim.view.scene import RobotScene
from reachy_sim.view.snapshots import Snapshot, SnapshotBuffer
from reachy_sim.view.task_info import tolerance_of, variants_of

if TYPE_CHECKING:
    from reachy_sim.tasks.task import Task

_PANEL_WIDTH = 340
"""Width of the panel, CSS pixels."""


@dataclass(frozen=True)
class ViewConfig:
    """Address of the page, and its first episode."""

    host: str = "127.0.0.1"
    port: int = 8080
    """Port of the page; 0 takes any free one."""
    robot: str = "sim"
    seed: int = 0
    variant: str = "training"
    paused: bool = False


class LiveView:
    """Shows rollouts in a browser, and lets the person there intervene.

    Args:
        config: address and first episode.
        task: the task that is shown; None on hardware.

    Raises:
        KitError: the port is in use.
    """

    def __init__(self, config: ViewConfig, task: "Task | None") -> None:
        self.config = config
        self._task = task
        self._controls = Controls(config.seed, config.variant, paused=config.paused)
        self._snapshots = SnapshotBuffer()
        self._info = ViewInfo(task.name if task else "free", config.robot, tolerance=tolerance_of(task))
        if task:
            self._info.error = task.spec.error
        self._page = PageServer(config.host, config.port)  # first: it is there while the rest loads
        self._stream = RobotStream(lambda: self._snapshots.latest)
        self._closing = threading.Event()

    def __enter__(self) -> "LiveView":
        with contextlib.ExitStack() as stack:
            stack.callback(self._page.close)
            stack.callback(self._stream.close)
            self._drawing = RobotDrawing()
            with _quiet():
                self._server = viser.ViserServer(self.config.host, self._page.port + 1, verbose=False)
            stack.callback(self._stop_server)
            self._server.gui.configure_theme(show_logo=False, show_share_button=False)
            self._server.gui.set_panel_label("Reachy Mini")
            self._server.gui.main_panel.dock_right()
            self._server.gui.main_panel.set_width(_PANEL_WIDTH)
            self._scene = RobotScene(self._server, self._drawing)
            variants = variants_of(self._task)
            self._panel = Panel(
                self._server.gui, self._controls, self._info, variants, lambda: self._snapshots.latest.action
            )
            self._display = threading.Thread(target=self._show, name="display", daemon=True)
            stack.callback(self._end_display)
            self._display.start()
            self._page.open(self._server.get_port(), self._controls, self._info, lambda: self._snapshots, self._stream)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    @property
    def welcome(self) -> str:
        """Lines for the terminal: where the page is, and how to end."""
        warning = (
            ""
            if self.config.host in ("127.0.0.1", "localhost", "::1")
            else "\nwarning: there is no password; anyone who reaches this computer can move the robot"
        )
        return f"the robot is at {self._page.url} (3D at port {self._server.get_port()}); Ctrl-C ends it{warning}"

    @property
    def variant(self) -> str:
        """Name of the variant that the person has chosen."""
        return self._controls.variant

    def open_browser(self) -> None:
        """Show the page on this computer."""
        webbrowser.open(self._page.url)

    def run(
        self,
        robot: Robot,
        policy: Policy | None,
        label: str,
        *,
        variant: str,
        policy_hz: int,
        perception: Perception | None,
        world: World | None,
        guard: Callable[[Policy], GuardedPolicy] = lambda policy: GuardedPolicy(policy, []),
    ) -> None:
        """Run episodes until another variant is chosen.

        Args:
            robot: connected, and at the wall clock's pace.
            policy: drives unless the person does; None = only the person.
            label: the policy's name.
            variant: of the task, which the robot's world shows.
            policy_hz: decisions per second.
            perception: fills ``environment_state``.
            world: ground truth, where there is one.
            guard: puts what drives under the robot's watchdogs.

        Raises:
            KitError: a watchdog has ended an episode.
        """
        controls, info = self._controls, self._info
        snapshots = self._snapshots = SnapshotBuffer(world)
        info.variant, info.policy, info.ticks = variant, label, robot.control_hz // policy_hz
        length = None if policy is None or self._task is None else round(self._task.seconds * policy_hz) * info.ticks
        guarded = guard(InterventionPolicy(policy or HoldPolicy(), lambda: controls.human_action))

        def on_tick(tick: Tick) -> None:
            snapshots.on_tick(tick)
            controls.on_tick(tick)

        while True:
            seed = controls.begin_episode(length)
            if controls.variant != variant:
                return
            episode = guarded_rollout(
                robot,
                guarded,
                seconds=None,
                policy_hz=policy_hz,
                seed=seed,
                perception=perception,
                world=world,
                subscribers=[snapshots],
                stop=controls.stop,
                on_tick=on_tick,
            )
            if episode.end_reason is not EndReason.DISCARDED:  # the person wanted another one
                guarded.raise_trouble()

    def _show(self) -> None:
        """Refresh each part at its own rate, and only when there is something new."""
        parts = [
            _Part(1 / 25, self._show_robot),
            _Part(1 / 10, self._show_image),
            _Part(1 / 5, self._panel.show_text),
            _Part(1 / 4, lambda _: self._panel.show_plots(self._snapshots.recent)),
            _Part(1 / 2, self._show_robot_image),
        ]
        while not self._closing.wait(0.02):
            snapshots = self._snapshots
            now, stamp = (
                time.monotonic(),
                (id(snapshots), snapshots.count, self._controls.paused, self._controls.human_action is None),
            )
            for part in parts:
                part.show(now, stamp, snapshots.latest)

    def _show_robot(self, snapshot: Snapshot) -> None:
        self._drawing.set_pose(snapshot.state, snapshot.target)
        self._scene.update()

    def _show_image(self, snapshot: Snapshot) -> None:
        if snapshot.image is not None:
            self._panel.show_image(snapshot.image)

    def _show_robot_image(self, snapshot: Snapshot) -> None:
        if self._panel.wants_robot_image:
            self._stream.request()
        self._panel.show_robot_image(self._stream.image if self._panel.wants_robot_image else None)

    def _end_display(self) -> None:
        self._closing.set()
        self._display.join(timeout=5.0)

    def _stop_server(self) -> None:
        with _quiet():
            self._server.stop()


class _Part:
    """A part of the display, refreshed at most once per period.

    Args:
        period: s.
        update: shows a snapshot.
    """

    def __init__(self, period: float, update: Callable[[Snapshot], None]) -> None:
        self._period = period
        self._update = update
        self._due = 0.0
        self._stamp: object = None

    def show(self, now: float, stamp: object, snapshot: Snapshot) -> None:
        """Refresh if the period has passed and something is new."""
        if now >= self._due and stamp != self._stamp:
            self._due, self._stamp = now + self._period, stamp
            self._update(snapshot)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep viser's own lines off stdout: they name a port that need not be opened, and stdout is for results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
