"""Runs `reachy-kit` commands in processes of their own, forked from one that has loaded LeRobot already.

Loading it takes some twenty seconds; a test that starts ten commands would wait for little else. Each command is a
real process with its own arguments, standard streams, signals and exit code; only what it would have imported is
there. At its end its threads are awaited, exit handlers run and streams are flushed; its modules are taken apart only
if that is asked for, because it takes longer than the work of most commands.

It listens on the Unix socket that is its argument, and ends when nobody is connected any more. Lines of JSON come in,
one answer each goes out:
    {"arguments": […], "folder": …, "out": FILE, "err": FILE, "before": CODE, "terminal": FILE or null,
     "whole_shutdown": …, "environment": {…}}  →  its pid
    {"poll": pid}                              →  its exit code, or null while it runs
"""

import atexit
import fcntl
import gc
import json
import os
import selectors
import socket
import sys
import termios
import threading
from typing import IO

import cv2  # noqa: F401
import onnxruntime  # noqa: F401
import reachy_mini  # noqa: F401
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: F401

import reachy_kit.cli.commands
import reachy_kit.cli.main
import reachy_kit.runtime.robots.daemon
import reachy_policies.evaluation.report.demo_report
import reachy_policies.onnx_export  # noqa: F401
import reachy_sim  # noqa: F401

reachy_kit.runtime.robots.daemon.DEFAULT_PORT = 9  # whatever else runs on this machine is left alone


def poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def become(command: dict) -> None:
    """Take on the command's streams, folder and arguments."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if command["terminal"]:  # standard input and standard error, and the one whose hang-up is a signal
        os.setsid()
        terminal = os.open(command["terminal"], os.O_RDWR)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        os.dup2(terminal, 0)
        os.dup2(terminal, 2)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  (they stay open)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.environ["TERM"] = "xterm-256color"
    os.environ |= command["environment"]
    os.chdir(command["folder"])
    sys.argv = ["reachy-kit", *command["arguments"]]
    exec(command["before"], {})


def end(code: int) -> None:
    """End this process as the interpreter would, up to its modules."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream and not stream.closed:
                stream.flush()
    except OSError:
        code = 120
    os._exit(code)


gc.freeze()  # what is loaded is never garbage: a forked process that does not count it ends two seconds sooner


def serve() -> dict:
    """Answer until a command is to run: that is returned, in its own process."""
    selector, listener = selectors.DefaultSelector(), socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    selector.register(listener, selectors.EVENT_READ)
    streams: dict[socket.socket, IO[str]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                streams[connection] = connection.makefile("rw")
                selector.register(connection, selectors.EVENT_READ)
                continue
            connection = key.fileobj
            line = streams[connection].readline()
            if not line:
                selector.unregister(connection)
                streams.pop(connection).close()
                connection.close()
                if not streams:
                    sys.exit()
                continue
            request = json.loads(line)
            answer = poll(request["poll"]) if "poll" in request else os.fork()
            if answer == 0 and "poll" not in request:
                for ours in (*streams.values(), *streams, listener, selector):
                    ours.close()
                return request
            print(json.dumps(answer), file=streams[connection], flush=True)


request = serve()
become(request)
try:
    reachy_kit.cli.main.run_cli()
except SystemExit as ended:
    if request["whole_shutdown"] or not isinstance(ended.code, int | None):
        raise
    end(ended.code or 0)
