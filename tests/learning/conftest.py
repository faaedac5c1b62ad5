"""Fixtures of the tests of several training methods."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
