"""``reachy-kit replay``: a recorded episode on a robot."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import DatasetArgument, JsonOption, RobotOption


def replay(
    dataset: DatasetArgument,
    episode: Annotated[int, typer.Argument(metavar="EPISODE", help="Index of the episode, from 0.")],
    robot: RobotOption = "daemon",
    speed: Annotated[float, typer.Option("--speed", help="Factor from 0.1 to 2: 0.5 is half as fast.")] = 1.0,
    json: JsonOption = False,
) -> None:
    """Repeat a recorded episode on a robot, through the limiter; it lies down at the end.

    Example: reachy-kit replay data/look_at 0 --robot sim
    """
    from reachy_kit.workflows import replay as workflow

    replayed = workflow.replay(dataset, episode, robot=robot, speed=speed, reporter=show.TERMINAL)
    if json:
        show.print_json(
            {
                "dataset": str(dataset),
                "episode": episode,
                "robot": robot,
                "steps": replayed.result.steps,
                "success": replayed.result.success,
                "largest_difference_degrees": round(replayed.degrees, 4),
                "largest_difference_millimetres": round(replayed.millimetres, 4),
                "axis": replayed.axis,
            }
        )
        return
    show.result(
        f"episode {episode} of {dataset} on {robot}: {replayed.result.steps} steps, at most {replayed.degrees:.1f}° "
        f"({replayed.axis}) and {replayed.millimetres:.1f} mm from the recorded motion"
    )
