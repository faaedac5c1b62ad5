"""The entry of ``reachy-kit``: signals, streams, and how errors are reported.

Until the commands are loaded, a signal ends the program at once: nothing is open yet, and an exception inside an import
would only become a traceback. That is why this module loads next to nothing.
"""

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a while to load
    from collections.abc import Callable

if sys.platform == "win32":
    print("reachy-kit runs on Linux and macOS; on Windows use WSL 2", file=sys.stderr)
    sys.exit(2)
try:
    from reachy_kit.runtime.interrupts import STOP, end_at_once, received_signal, unwind_on_signals
except KeyboardInterrupt:
    os._exit(130)
if os.path.basename(sys.argv[0]).startswith("reachy-kit"):  # noqa: PTH119 - pathlib takes a while to load
    end_at_once()  # the console script still has a few lines to run before it calls us

_ABORTED, _INTERRUPTED = 1, 130
_STOPPED = (
    "stopped by a key, reachy-kit stop, its signal or HTTP; what was saved before is kept. To drive again, start the "
    "command again"
)
_OUT_OF_REACH = errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP
"""Reasons for which a path that was given cannot even be looked up."""


def run_cli() -> None:
    """Run the command line; an error becomes one or two lines and an exit code."""
    end_at_once()
    from reachy_kit.cli.commands import app
    from reachy_kit.cli.reporting.output_streams import open_streams
    from reachy_kit.cli.user_account import complete_user_account

    complete_user_account()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    code: int | str | None = 1
    open_streams()
    try:
        unwind_on_signals()
        code = _run_command(app, arguments)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    end_at_once()
    number = received_signal()
    if number is not None and code in (_ABORTED, _INTERRUPTED):  # typer's codes, whichever signal it was
        code = 128 + number
    if code == _INTERRUPTED:
        print("stopped by Ctrl-C; what was saved before is kept", file=sys.stderr)
    elif code == 128 + STOP:
        print(_STOPPED, file=sys.stderr)
    sys.exit(code)


def _run_command(app: "Callable[..., object]", arguments: list[str]) -> int | str | None:
    """Run a command, and return the exit code.

    Raises:
        KeyboardInterrupt: a signal has unwound it, or has arrived while its error was reported.
    """
    try:
        try:
            app(arguments, prog_name="reachy-kit")
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        return ended.code
    except Exception as error:
        return _report(error, arguments, debug=len(arguments) < len(sys.argv) - 1)
    return 1


def _report(error: Exception, arguments: list[str], *, debug: bool) -> int:
    """Print an error in one or two lines, and return the exit code."""
    import re
    import traceback

    from reachy_kit.cli.reporting.missing_extras import explain_missing_package
    from reachy_kit.runtime.errors import KitError, WrongUseError

    if debug:
        traceback.print_exc()
    if received_signal() is not None and not _arose_unwinding(error):
        return _INTERRUPTED
    if missing := explain_missing_package(error, arguments):
        print(f"error: {missing}", file=sys.stderr)
        return WrongUseError.exit_code
    message = re.sub(r"\s*\n\s*", " ", str(error).strip())  # the errors of other packages run over many lines
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH and error.filename:
        print(f"error: {error.filename} cannot be reached ({error.strerror}). Choose another path", file=sys.stderr)
        return WrongUseError.exit_code
    if isinstance(error, KitError):
        print(f"error: {message}", file=sys.stderr)
        return error.exit_code
    print(f"error: {type(error).__name__}: {message}. --debug shows where", file=sys.stderr)
    return 1


def _arose_unwinding(error: BaseException | None) -> bool:
    """Whether an error arose while a signal unwound the program; otherwise it is the signal, which an import swallowed.

    Modules in C turn the exception of a signal into errors of their own.
    """
    while error is not None and not isinstance(error, ImportError | SystemError):
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
