"""A sweep over training seeds: the same training N times, each in a process with one thread, one for each core.

Try it: reachy-kit train imitation --dataset data/look_at --seeds 4 --out runs/look_at_seeds
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from reachy_kit.runtime.durable_files import check_folder
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interrupts import received_signal, unwind_on_signals
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.training.dagger_training import train_dagger
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.runs.run_files import is_run

type Method = Literal["imitation", "dagger", "rl"]
_TRAININGS: dict[str, Callable[..., Any]] = {"imitation": train_imitation, "dagger": train_dagger, "rl": train_rl}
_PATHS = ("dataset", "out", "init")


def train_seeds(
    method: Method, out: Path, seeds: int, arguments: Mapping[str, Any], *, reporter: Reporter = SILENT
) -> list[Path]:
    """Train the seeds 0 to N−1 into ``OUT/seed-0``, ``OUT/seed-1`` …; finished ones are kept.

    Where ``init`` is a folder with seed-0, seed-1 …, each training starts from the run of its own seed.

    Args:
        method: ``imitation``, ``dagger`` or ``rl``.
        out: folder of the seeds' folders.
        seeds: N, number of seeds.
        arguments: of ``train_imitation``, ``train_dagger`` or ``train_rl``, but for ``out``, ``seed`` and ``reporter``.
        reporter: shows the progress.

    Returns:
        The folders of the N runs.

    Raises:
        WrongUseError: the folder cannot be written.
        KitError: a training failed; the others are finished, and the same call does only what is missing.
    """
    check_folder(out)
    folders = [out / f"seed-{seed}" for seed in range(seeds)]
    running: list[subprocess.Popen[str]] = []
    starting, ended = threading.Lock(), False

    def train(seed: int) -> str | None:
        own = _arguments_of_seed(arguments, folders[seed], seed)
        if method != "rl" and not own.get("fresh") and is_run(folders[seed]):
            return None  # reinforcement learning itself checks that a finished run is this very one
        folders[seed].parent.mkdir(parents=True, exist_ok=True)
        with starting:  # a process is either not started or on the list of those to end
            if ended:
                return None
            process = _start(method, own)
            running.append(process)
        _, error = process.communicate()
        if process.returncode == 0:
            return None
        return f"seed {seed}: {error.strip().splitlines()[-1] if error.strip() else '?'}"

    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    failures: list[str] = []
    try:
        with reporter.progress("seeds", total=seeds) as advance:
            for failure in pool.map(train, range(seeds)):
                failures += [failure] if failure else []
                advance()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        with starting:
            ended = True
            for process in running:
                process.terminate()
        raise
    if failures:
        raise KitError(
            f"{len(failures)} of {seeds} seeds failed ({failures[0]}). The same command does what is missing"
        )
    return folders


def _arguments_of_seed(arguments: Mapping[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    own = {**arguments, "out": folder, "seed": seed}
    if own.get("init") is not None:
        paired = Path(own["init"]) / f"seed-{seed}"
        own["init"] = paired if paired.is_dir() else own["init"]
    return own


def _start(method: Method, arguments: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Start a training; its process reads its arguments from standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import train_from_stdin; train_from_stdin()"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(json.dumps({"program": sys.argv[0], "method": method, "arguments": arguments}, default=str))
    process.stdin = None  # it is closed; communicate would flush it
    return process


def train_from_stdin() -> None:
    """Train one seed with the arguments given as JSON on standard input; exit with the command's exit code."""
    unwind_on_signals()
    order = json.load(sys.stdin)
    sys.argv[0] = order["program"]  # for the commands in its messages
    arguments = {name: _as_paths(value) if name in _PATHS else value for name, value in order["arguments"].items()}
    try:
        _TRAININGS[order["method"]](**arguments)
    except KitError as error:
        print("error:", " ".join(str(error).splitlines()), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + (received_signal() or signal.SIGINT))


def _as_paths(value: str | list[str] | None) -> Path | list[Path] | None:
    if isinstance(value, list):
        return [Path(path) for path in value]
    return None if value is None else Path(value)
