"""Errors that a command reports in one or two lines, each with an exit code that a script can act on.

Exit codes: 0 fine, 1 the work failed, 2 wrong use, 3 no robot, 4 unsafe or refused.
A command ended by a signal leaves with 128 + the signal's number, as shells expect.
"""


class KitError(Exception):
    """The work failed: the message says what was wrong, where, and what to do."""

    exit_code = 1


class WrongUseError(KitError):
    """The command got an argument that does not exist or does not fit."""

    exit_code = 2


class MissingPackageError(WrongUseError):
    """A package is not installed that comes with an extra.

    Args:
        message: what is missing.
        extra: name of the extra. The command line adds the command that installs it.
    """

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class NoRobotError(KitError):
    """No robot answers, or its connection is lost."""

    exit_code = 3


class RefusedError(KitError):
    """Continuing would be unsafe, or would damage existing data."""

    exit_code = 4
