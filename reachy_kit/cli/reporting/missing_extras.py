"""An error that a missing package causes, in words: which extras a command needs, and how to install them."""

import itertools

from reachy_kit.runtime.errors import MissingPackageError
from reachy_kit.runtime.messages.installation import extras_with, install_command, missing_extras

EXTRAS = {
    "demo": ("sim", "train"),
    "teleop": ("teleop",),
    "record": ("sim", "train"),
    "train imitation": ("train",),
    "train rl": ("sim", "train"),
    "eval": ("sim",),
    "export": ("train",),
    "dataset check": ("train",),
    "dataset moves": ("train",),
    "dataset show": ("train",),
    "dataset trim": ("train",),
    "dataset drop": ("train",),
    "dataset merge": ("train",),
    "dataset split": ("train",),
    "dataset relabel": ("train",),
    "dataset convert": ("train",),
    "dataset push": ("train",),
    "dataset pull": ("train",),
    "dataset forget": ("train",),
    "replay": ("train",),
    "run": (),
    "stop": (),
    "sysid": ("sim",),
    "top": (),
    "view": ("sim", "view"),
}
"""The extras without which a command does nothing; others it needs for some of its options."""


def explain_missing_package(error: BaseException, arguments: list[str]) -> str | None:
    """What is missing for a command, and the command that installs it, in one line.

    Args:
        error: which ended the command.
        arguments: of this program.

    Returns:
        None if the error has another reason.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MissingPackageError | ModuleNotFoundError):
        cause = cause.__cause__
    verb = next((verb for verb in EXTRAS if arguments[: len(verb.split())] == verb.split()), "")
    usual = (*EXTRAS.get(verb, ()), *(("robot",) if _asks_for_a_robot(verb, arguments) else ()))
    if isinstance(cause, MissingPackageError):
        extras = dict.fromkeys([*usual, cause.extra])
        return f"{cause}. Install what is missing: {install_command(extras, arguments)}"
    if not isinstance(cause, ModuleNotFoundError):
        return None
    bringing = missing_extras(extras_with(cause.name or ""))
    extras = dict.fromkeys([*usual, *(bringing if not set(bringing) & set(usual) else ())])
    missing = missing_extras(extras)
    if not missing:
        return None
    names = f"extras {', '.join(missing[:-1])} and {missing[-1]}" if missing[1:] else f"extra {missing[0]}"
    return f"{verb or 'this'} needs the {names}: {install_command(extras, arguments)}"


def _asks_for_a_robot(verb: str, arguments: list[str]) -> bool:
    given = " ".join(arguments).replace("=", " ").split()
    robots = [value for option, value in itertools.pairwise(given) if option in ("--robot", "--against")]
    return any(robot != "sim" for robot in robots) or (verb == "run" and not robots)  # its default is the daemon
