"""Commands inside messages: complete, quoted for a shell, and called as this program was.

Every command that a message, a hint or a page names is composed here, so that it does what it says when it is pasted.
``tests/integration/test_hints.py`` pastes them all.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = "reachy-kit"
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udcff]+")
"""Control characters, and bytes of a path that are not text."""


def compose_command(verb: str, *arguments: object, **options: object) -> str:
    """Compose a command of this program that can be pasted into a shell.

    Args:
        verb: ``record``, ``train imitation`` and so on.
        arguments: positional ones.
        options: by name, with ``_`` for ``-``. None, False and empty text leave an option out, True makes it a flag.
            A capital word such as ``HOST`` is for the reader to replace: only for what this program cannot know.

    Returns:
        One line of text.
    """
    return _compose(_program(), verb, arguments, options)


def portable_command(verb: str, *arguments: object, **options: object) -> str:
    """As ``compose_command``, for a file that is read on another computer: the program by its name alone."""
    return _compose(PROGRAM, verb, arguments, options)


def _compose(program: str, verb: str, arguments: Sequence[object], options: Mapping[str, object]) -> str:
    words = [program, *verb.split(), *(quote_argument(argument) for argument in arguments)]
    for name, value in options.items():
        if value is None or value is False or value == "":
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(quote_argument(value))
    return " ".join(words)


def repeat_command(arguments: list[str]) -> str:
    """The command that is running, from its own arguments, for a file: the program by its name alone."""
    return " ".join([PROGRAM, *map(_quote, arguments)])


def quote_argument(value: object) -> str:
    """Quote a value for a shell; a path that looks like an option or a home folder gets ``./`` in front."""
    text = str(value)
    if isinstance(value, Path) and text.startswith(("-", "~")):
        text = f"./{text}"
    return _quote(text)


def _quote(text: str) -> str:
    if _UNPRINTABLE.search(text):
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"$'{_UNPRINTABLE.sub(_escape, escaped)}'"
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(match[0]))


def _program() -> str:
    """This program as it was called: by its name alone only where a shell finds it."""
    called = sys.argv[0]
    if Path(called).stem != PROGRAM or Path(called).name == called:
        return PROGRAM  # a notebook or a test, or found on the PATH
    on_path = None if "UV" in os.environ else shutil.which(PROGRAM)  # uv changes the PATH for this program alone
    if on_path is not None and Path(called).exists() and Path(on_path).samefile(called):
        return PROGRAM
    return _quote(called)
