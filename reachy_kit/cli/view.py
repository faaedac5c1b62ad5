"""``reachy-kit view``: the robot live in a browser, or a film of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    FirstStateSeedOption,
    PerceptionOption,
    RobotOption,
    TargetOption,
    TaskOption,
    expand_home,
    path_option,
)
from reachy_kit.runtime.perception.targets.target_registry import BALL

if TYPE_CHECKING:
    from reachy_sim.view.live import LiveView


def view(
    task: TaskOption = "track",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            parser=expand_home,
            metavar="expert|random|oracle|none|RUN|BUNDLE",
            help="The policy that drives until you move a slider; none: only you drive.",
        ),
    ] = "expert",
    robot: RobotOption = "sim",
    perception: PerceptionOption = "auto",
    target: TargetOption = BALL,
    variant: Annotated[str, typer.Option("--variant", help="Variant of the task.")] = "training",
    seed: FirstStateSeedOption = 0,
    paused: Annotated[bool, typer.Option("--paused", help="Start paused.")] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0 takes any free one.")
    ] = 8080,
    host: Annotated[
        str, typer.Option("--host", help="Address of the page; 0.0.0.0 lets other computers in, without a password.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--open/--no-browser", help="Open the page in the browser.")] = True,
    out: Annotated[
        Path | None,
        path_option("--out", metavar="FILE.mp4|FILE.gif", help="Write a film to this file instead, without a browser."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="Length of the film, s; the task's own if not given.")
    ] = None,
    width: Annotated[int, typer.Option("--width", min=160, max=1920, help="Width of the film, px.")] = 640,
) -> None:
    """Watch the robot in a browser: its head camera, the task's error and reward; nine sliders, pause, step and reset.

    Example: reachy-kit view --task track --policy expert
    """
    from reachy_kit.workflows.view import ViewedRobot, film, watch

    shown = ViewedRobot(task, policy, robot, perception, variant, seed, target)
    if out is not None:
        show.result(f"film: {film(shown, out, seconds=seconds, width=width, reporter=show.TERMINAL)}")
        return

    def on_open(live: "LiveView") -> None:
        show.TERMINAL.note(live.welcome)
        if browser:
            live.open_browser()

    watch(shown, host=host, port=port, paused=paused, on_open=on_open, reporter=show.TERMINAL)
