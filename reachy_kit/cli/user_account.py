"""The user's name and home, for an account that has neither: ``docker -u`` runs commands under a bare number.

torch asks for the name when it is imported, LeRobot for the home; without an answer, importing them fails.
"""

import getpass
import os
from pathlib import Path

_NO_HOME = os.devnull
"""Home of an account without one: nothing can be read or written in what is not a folder."""


def complete_user_account() -> None:
    """Give this process, and those that it starts, a user name and a home where the system knows none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        os.environ["USER"] = f"user{os.getuid()}"
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = _NO_HOME
