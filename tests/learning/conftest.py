"""What the tests of several ways of learning share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reachy_kit.workflows.training.train_rl import train_rl


@pytest.fixture
def train_interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`train rl` that Ctrl-C ends right after a round's checkpoint is written."""

    def train(out: Path, after_round: int, **arguments: Any) -> None:
        from reachy_policies.reinforcement import training

        write = training.write_checkpoint

        def interrupted(path, checkpoint):
            write(path, checkpoint)
            if checkpoint.numbers["iteration"] == after_round:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training, "write_checkpoint", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train_rl(out, **arguments)

    return train
