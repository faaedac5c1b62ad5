"""The panel beside the robot: who drives and how well, pause and step, the head camera, plots, nine sliders."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import viser
from viser import uplot

from reachy_kit.runtime.interface import ACTION_NAMES, Action, Array, Image, TaskError
from reachy_sim.view.axes import AXES, SCALES
from reachy_sim.view.controls import Controls
from reachy_sim.view.snapshots import Snapshot

YOU = "you"
"""Driver's name while a person drives."""
_GREEN, _GREY, _BLUE, _RED = "#2b8a3e", "#868e96", "#1c7ed6", "#e03131"
_BUTTONS = ("Pause", "Step", "Reset")


@dataclass
class ViewInfo:
    """Names of robot, task and policy, for display."""

    task: str = ""
    robot: str = ""
    variant: str = ""
    policy: str = ""
    tolerance: float | None = None
    """Largest task error that counts towards success."""
    error: TaskError = field(default_factory=lambda: TaskError("error"))
    """Name and unit of the task's error."""
    ticks: int = 2
    """Number of control ticks per decision, the length of a single step."""


class Panel:
    """The panel's elements and their callbacks.

    Args:
        gui: the server's GUI.
        controls: receive the person's requests.
        info: names to show.
        variants: of the task.
        action: (9,) in force, from which a slider takes over.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        controls: Controls,
        info: ViewInfo,
        variants: tuple[str, ...],
        action: Callable[[], Action],
    ) -> None:
        self._controls = controls
        self._info = info
        self._action = action
        self._status = gui.add_html("")
        self._buttons = gui.add_button_group("", _BUTTONS)
        self._buttons.on_click(self._clicked)
        self._camera = gui.add_image(np.full((180, 320, 3), 225, np.uint8), label=None, visible=False)
        self._plots = [_plot(gui, info.error.heading, _BLUE), _plot(gui, "reward", _GREEN)]
        with gui.add_folder("Drive it yourself"):
            self._sliders = [self._slider(gui, index) for index in range(len(AXES))]
            self._release = gui.add_button("Hand back", disabled=True)
            self._release.on_click(lambda _: controls.release())
        with gui.add_folder("Measured"):
            self._table = gui.add_html("")
        with gui.add_folder("Episode"):
            self._seed = gui.add_number("seed", controls.seed, min=0, step=1)
            self._seed.on_update(self._seed_chosen)
            self._variant = gui.add_dropdown("variant", variants, initial_value=controls.variant)
            self._variant.on_update(self._variant_chosen)
            self._streamed = gui.add_checkbox("image drawn by the server", False, hint="For browsers slow in 3D.")
            self._robot_image = gui.add_image(np.full((480, 640, 3), 225, np.uint8), visible=False)

    # Input of the person. Changes without a client come from this program, not from the person.

    def _clicked(self, event: viser.GuiEvent[viser.GuiButtonGroupHandle]) -> None:
        chosen = event.target.value
        if chosen == "Step":
            self._controls.step(self._info.ticks)
        elif chosen == "Reset":
            self._controls.restart()
        else:
            self._controls.pause(not self._controls.paused)

    def _slider(self, gui: viser.GuiApi, index: int) -> viser.GuiSliderHandle[float]:
        axis = AXES[index]
        slider = gui.add_slider(axis.label, min=float(axis.low), max=float(axis.high), step=1.0, initial_value=0.0)

        def moved(event: viser.GuiEvent[viser.GuiSliderHandle[float]]) -> None:
            if event.client is not None:
                self._controls.steer(index, event.target.value / axis.scale, self._action())

        slider.on_update(moved)
        return slider

    def _seed_chosen(self, event: viser.GuiEvent[viser.GuiNumberHandle[int]]) -> None:
        if event.client is not None:
            self._controls.restart(seed=event.target.value)

    def _variant_chosen(self, event: viser.GuiEvent[viser.GuiDropdownHandle[str]]) -> None:
        if event.client is not None:
            self._controls.restart(seed=self._controls.seed, variant=event.target.value)

    # Output for the person.

    @property
    def wants_robot_image(self) -> bool:
        """Whether images drawn by the server are asked for."""
        return bool(self._streamed.value)

    def show_text(self, snapshot: Snapshot) -> None:
        """Show names, success and the nine numbers; the sliders follow unless the person moves them."""
        human_action = self._controls.human_action is not None
        self._status.content = _status(
            snapshot, self._info, YOU if human_action else self._info.policy, self._controls.paused
        )
        self._table.content = _table(snapshot)
        pause = "Resume" if self._controls.paused else "Pause"
        if self._buttons.options[0] != pause:
            self._buttons.options = (pause, *_BUTTONS[1:])
        if self._release.disabled == human_action:
            self._release.disabled = not human_action
        if self._seed.value != snapshot.seed:
            self._seed.value = snapshot.seed
        if not human_action:
            for slider, value, axis in zip(self._sliders, np.round(snapshot.action * SCALES), AXES, strict=True):
                inside = float(np.clip(value, axis.low, axis.high))
                if slider.value != inside:
                    slider.value = inside

    def show_image(self, image: Image) -> None:
        """Show the head camera's image."""
        self._camera.image = image
        self._camera.visible = True

    def show_robot_image(self, image: Image | None) -> None:
        """Show the robot as the server draws it; None hides it."""
        if image is not None:
            self._robot_image.image = image
        self._robot_image.visible = image is not None

    def show_plots(self, recent: Array) -> None:
        """Plot (3, K): time, the task's error, reward."""
        visible = recent.shape[1] > 1
        for plot, values in zip(self._plots, (self._info.error.scale * recent[1], recent[2]), strict=True):
            plot.visible = visible
            if visible:
                plot.data = (recent[0], values)


def _plot(gui: viser.GuiApi, label: str, colour: str) -> viser.GuiUplotHandle:
    return gui.add_uplot(
        data=(np.zeros(2), np.zeros(2)),
        series=(uplot.Series(label="s"), uplot.Series(label=label, stroke=colour, width=2, points={"show": False})),
        title=label,
        scales={"x": uplot.Scale(time=False, auto=True), "y": uplot.Scale(auto=True)},
        axes=(uplot.Axis(size=30, font="10px sans-serif"), uplot.Axis(size=34, font="10px sans-serif")),
        legend=uplot.Legend(show=False),
        height=85,
        visible=False,
    )


def _status(snapshot: Snapshot, info: ViewInfo, driver: str, paused: bool) -> str:
    """Two lines of HTML; the ``data-`` attributes are for tests and other programs."""
    colour, words = _GREY, "no target known"
    if snapshot.task_error is not None:
        close = info.tolerance is not None and snapshot.task_error <= info.tolerance
        colour, words = _GREEN if close else _RED, f"{info.error.name} {info.error.text(snapshot.task_error)}"
    if snapshot.success:
        words += ' · <b data-success="true">success ✓</b>'
    return (
        f'<div style="font-size:14px;line-height:1.5;padding:2px 4px">'
        f"<b>{info.task}</b> on {info.robot} · policy <b data-driver>{driver}</b>"
        f" · seed <span data-seed>{snapshot.seed}</span>"
        f"<br><span style='color:{colour}'>●</span> {words} · <span data-time>{snapshot.time:.2f}</span> s"
        f"{' · <b>paused</b>' if paused else ''}</div>"
    )


def _table(snapshot: Snapshot) -> str:
    """HTML table of nine rows: measured, commanded."""
    rows = "".join(
        f"<tr><td>{axis.label}</td><td data-axis='{name}' style='text-align:right'>{state:.1f}</td>"
        f"<td style='text-align:right'>{action:.1f}</td></tr>"
        for axis, name, state, action in zip(
            AXES, ACTION_NAMES, snapshot.state * SCALES, snapshot.action * SCALES, strict=True
        )
    )
    return (
        "<table style='width:100%;font-size:12px;font-variant-numeric:tabular-nums'><tr style='color:#868e96'><td></td>"
        f"<td style='text-align:right'>measured</td><td style='text-align:right'>commanded</td></tr>{rows}</table>"
    )
