"""``--seeds N``: the same training N times, each seed a process with one thread, as many at once as there are cores."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.runtime.errors import KitError

SeedsOption = Annotated[
    int,
    typer.Option(
        "--seeds",
        min=0,
        help="Train N seeds, 0 to N−1, into OUT/seed-0 and so on, each a process of its own; what is finished stays.",
    ),
]


def one_process_a_seed(
    context: typer.Context, out: Path, seeds: int, *, init: Path | None = None, skip_finished: bool = False
) -> None:
    """Run the command of ``context`` once for each seed; a start that holds seed-0, seed-1 … is paired with them.

    Args:
        context: of the command.
        out: folder of the seeds' folders.
        seeds: how many.
        init: what they start from.
        skip_finished: leave alone what is finished; without it that is the command's own business.

    Raises:
        KitError: some failed; the rest are finished, and the same command does only what is missing.
    """
    given = _words(context)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    running: list[subprocess.Popen[str]] = []

    def train(seed: int) -> str | None:
        folder = out / f"seed-{seed}"
        if skip_finished and (folder / "card.json").is_file():
            return None
        own = ["--out", str(folder), "--seed", str(seed)]
        if init is not None:
            paired = init / f"seed-{seed}"
            own += ["--init", str(paired if paired.is_dir() else init)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", "from reachy_kit.cli.main import run_cli; run_cli()", *given, *own],
            env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        _, said = process.communicate()
        return (
            None
            if process.returncode == 0
            else f"seed {seed}: {said.strip().splitlines()[-1] if said.strip() else '?'}"
        )

    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        with show.progress("seeds", total=seeds) as advance:
            failures = []
            for failure in pool.map(train, range(seeds)):
                failures += [failure] if failure else []
                advance()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.terminate()
        raise
    if failures:
        raise KitError(
            f"{len(failures)} of {seeds} seeds failed ({failures[0]}). The same command does what is missing"
        )
    show.result(f"{seeds} seeds in {out}. Next: reachy-kit eval {out} --task TASK --variants held-out --episodes 200")


def _words(context: typer.Context) -> list[str]:
    """The command line again, without what differs from seed to seed."""
    words = context.command_path.split()[1:]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if name in ("out", "seed", "seeds", "init", "json") or value in (None, False, (), []):
            continue
        flag = parameter.opts[0]
        if value is True:
            words.append(flag)
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [flag, str(one)]
    return words
