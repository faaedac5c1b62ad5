"""What a command says when it cannot go on: one or two lines, and an exit code that a script can act on.

Exit codes: 0 fine, 1 the work failed, 2 wrong use, 3 no robot, 4 unsafe or refused.
A command ended by a signal leaves with 128 + the signal's number, as shells expect.
"""


class KitError(Exception):
    """The work failed: the message says what was wrong, where, and what to do."""

    exit_code = 1


class WrongUseError(KitError):
    """The command was asked for something that does not exist or does not fit."""

    exit_code = 2


class NoRobotError(KitError):
    """No robot answers, or the one that answered has gone."""

    exit_code = 3


class RefusedError(KitError):
    """Going on would be unsafe, or would damage what is already there."""

    exit_code = 4
