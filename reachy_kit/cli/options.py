"""Options that several commands share, every option that takes a path, and the settings of ``--config`` and ``--set``.

A shell expands ``~`` at the start of a word, not in ``--out=~/x``, ``NAME=~/runs`` or a TOML file: here it is expanded
wherever a path may be given. A folder of that name is ``./~``.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import own_target_names
from reachy_kit.runtime.tasks.task_registry import own_task_names


def expand_home(text: str) -> str:
    """Expand ``~`` at the start of a text, after ``NAME=`` too.

    Raises:
        WrongUseError: the home folder is not known.
    """
    name, equals, path = text.partition("=")
    if equals and path.startswith("~") and not name.startswith("~"):
        return f"{name}={expand_home(path)}"
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111  (Path forgets a final slash, and ./ before it)
    if expanded == text:
        user = text.partition("/")[0]
        raise WrongUseError(f"{text}: the home folder {user} is not known. Give the whole path, or ./{text}")
    return expanded


def read_path(text: str | Path) -> Path:
    """The path that an option or an argument gives."""
    path = Path(text) if isinstance(text, Path) else Path(expand_home(text))
    return path.absolute() if str(path).startswith("~") else path  # ./~ is Path("~"), which LeRobot would expand


def path_option(*names: str, help: str, metavar: str = "FOLDER") -> Any:
    """An option that takes a path: the only way in which a command declares one."""
    return typer.Option(*names, parser=read_path, metavar=metavar, help=help)


def path_argument(*, help: str, metavar: str) -> Any:
    """An argument that is a path."""
    return typer.Argument(parser=read_path, metavar=metavar, help=help)


DatasetArgument = Annotated[Path, path_argument(metavar="DATASET", help="Folder of the dataset.")]
TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        parser=expand_home,
        metavar="NAME|FILE.py",
        help=f"{', '.join(own_task_names())}, a task of an installed package, or a file with a task of your own.",
    ),
]
RobotOption = Annotated[
    str,
    typer.Option(
        "--robot",
        metavar="sim|daemon|HOST[:PORT]",
        help="sim: physics on this computer. daemon: a simulated robot behind its own daemon, which is started if "
        "none answers. HOST: a real robot.",
    ),
]
TeleopOption = Annotated[
    str,
    typer.Option(
        "--teleop",
        parser=expand_home,
        metavar="NAME[:ARGUMENT]",
        help="Who demonstrates: scripted (the task's expert), or the device of a person, such as keyboard.",
    ),
]
PerceptionOption = Annotated[
    str,
    typer.Option(
        "--perception",
        metavar="auto|geometry|detector|microphone",
        help="Source of the target's features: the simulator's geometry, OpenCV on the camera image, or what a "
        "microphone hears. auto: geometry on sim and for what the detector cannot yield, a real robot's "
        "microphone for sound, detector elsewhere.",
    ),
]
MicrophoneOption = Annotated[
    str,
    typer.Option(
        "--microphone",
        metavar="NAME|INDEX[@METRES]",
        help="Microphone of this computer, in place of the robot's own: default, its index, or a part of its name; it "
        "stands beside the robot and faces as it does. @METRES: distance between a stereo device's microphones, 0.1 "
        "if not given.",
    ),
]
SpeakerOption = Annotated[
    str,
    typer.Option(
        "--speaker",
        metavar="robot|NAME|INDEX|off",
        help="Where short tones say that something begins, ends or was noticed: a real robot's own speaker if not "
        "given; a speaker of this computer: default, its index, or a part of its name. Off while a microphone is on.",
    ),
]
TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="NAME[:ARGUMENT]",
        help=f"What is looked at: {', '.join(own_target_names())}, or a target of an installed package. marker:7 is "
        "the AprilTag with the number 7. A simulation shows it in place of the ball.",
    ),
]
FirstStateSeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of the first initial state in a simulation.")
]
OperatorOption = Annotated[
    str, typer.Option("--operator", metavar="PSEUDONYM", help="Who demonstrates, stored with each episode.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
SeedsOption = Annotated[
    int,
    typer.Option(
        "--seeds",
        min=0,
        help="Train N seeds, 0 to N−1, into OUT/seed-0 and so on, each in its own process; finished ones are kept.",
    ),
]
ConfigOption = Annotated[Path | None, path_option("--config", metavar="FILE.toml", help="TOML file with settings.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting, as key=value; may be given repeatedly.")
]


def read_settings(config: Path | None, assignments: list[str]) -> dict[str, Any]:
    """Read settings from the file, then from the command line, which wins.

    Raises:
        WrongUseError: the file or an assignment cannot be read.
    """
    settings: dict[str, Any] = {}
    if config:
        try:
            settings.update(tomllib.loads(config.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:  # of TOML, or of text that is not UTF-8
            raise WrongUseError(f"--config {config} cannot be read: {error}. It is TOML: name = value") from error
    for assignment in assignments:
        try:
            settings.update(tomllib.loads(assignment))
        except tomllib.TOMLDecodeError as error:
            raise WrongUseError(f"--set {assignment} is not key=value ({error}). Strings need quotes") from error
    return {name: _expanded(value) for name, value in settings.items()}


def _expanded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _expanded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return expand_home(value) if isinstance(value, str) and value.startswith("~") else value
