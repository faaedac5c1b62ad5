"""Fixtures of the tests of several training methods."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.runs.run_files import LAST


@pytest.fixture
def train_interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`train rl` that Ctrl-C ends right after an iteration's checkpoint is written."""

    def train(out: Path, after_iteration: int, **arguments: Any) -> None:
        from reachy_policies.runs import resumable

        write = resumable.write_checkpoint

        def interrupted(path, state):
            write(path, state)
            if path.name == LAST and state["state"]["iteration"] == after_iteration:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(resumable, "write_checkpoint", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train_rl(out, **arguments)

    return train


RUN_BUNDLE = Path(__file__).parents[2] / "policies" / "examples" / "run_bundle.py"
_WITHOUT_THE_KIT = """
import runpy, sys
sys.modules |= dict.fromkeys(("reachy_kit", "reachy_policies", "reachy_sim"))  # importing None fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def actions_of_a_stranger(tmp_path: Path) -> Callable[..., np.ndarray]:
    """Actions (decisions, 9) of a bundle as the documentation's script runs it, where this kit cannot be imported."""

    def act(bundle: Path, **observed: np.ndarray) -> np.ndarray:
        np.savez(tmp_path / "observed.npz", **observed)
        script = [str(RUN_BUNDLE), str(bundle), str(tmp_path / "observed.npz")]
        command = [sys.executable, "-I", "-c", _WITHOUT_THE_KIT, *script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return np.array([json.loads(line) for line in done.stdout.splitlines()])

    return act
