"""A training's record: a state comes back as it was, the best weights are kept, and another training is refused."""

from dataclasses import dataclass

import pytest
import torch

from reachy_kit.runtime.errors import RefusedError
from reachy_policies.runs import checkpoint
from reachy_policies.runs.checkpoint import read_checkpoint, write_checkpoint
from reachy_policies.runs.resumable import TrainingRecord
from reachy_policies.runs.run_files import BEST, LAST, TRAINING

IDENTITY = {"seed": 1, "chunk": [1, 2], "share": float("nan")}


@dataclass(frozen=True)
class Point:
    step: int
    score: float


def record(out, **changes):
    return TrainingRecord(out, IDENTITY | changes, Point, lambda point: point.score)


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "step": 3,
        "rates": [0.1, None],
        "empty": {},
        "learner": {"weights": {"body.0": torch.arange(3.0)}, "0": {"count": torch.tensor(7), "name": "adam"}},
    }
    write_checkpoint(tmp_path / LAST, state)
    again = read_checkpoint(tmp_path / LAST)
    weights, count = again["learner"]["weights"].pop("body.0"), again["learner"]["0"].pop("count")
    assert torch.equal(weights, torch.arange(3.0))
    assert int(count) == 7
    assert again == {"step": 3, "rates": [0.1, None], "empty": {}, "learner": {"weights": {}, "0": {"name": "adam"}}}


def test_the_best_weights_are_kept_and_of_equals_the_earliest(tmp_path):
    training = record(tmp_path)
    for step, score in enumerate((0.1, 0.5, 0.5, 0.2)):
        training.add(Point(step, score), lambda step=step: {"weight": torch.tensor(float(step))})
    assert training.best == Point(1, 0.5)
    assert float(read_checkpoint(tmp_path / TRAINING / BEST)["weights"]["weight"]) == 1.0


def test_kept_weights_do_not_change_with_the_policy():
    training, weights = record(None), {"weight": torch.zeros(1)}
    training.add(Point(0, 1.0), lambda: weights)
    weights["weight"] += 1
    assert float(training.best_weights["weight"]) == 0.0


def test_an_unfinished_training_is_resumed_with_its_history(tmp_path):
    first, loaded = record(tmp_path), {}
    first.add(Point(5, 0.5), lambda: {"weight": torch.ones(1)})
    first.save({"step": 5})
    second = record(tmp_path)
    assert second.resume(loaded.update)
    assert (second.history, loaded) == ([Point(5, 0.5)], {"step": 5})
    assert torch.equal(second.best_weights["weight"], torch.ones(1))


def test_without_a_checkpoint_nothing_is_resumed(tmp_path):
    assert not record(tmp_path).resume(lambda state: None)
    assert not record(None).resume(lambda state: None)


def test_another_training_is_refused_by_the_settings_that_differ(tmp_path):
    record(tmp_path).save({})
    with pytest.raises(RefusedError, match=r"another chunk, seed\..*--fresh"):
        record(tmp_path, chunk=[1, 3], seed=2).resume(lambda state: None)


def test_a_state_that_does_not_fit_is_refused(tmp_path):
    record(tmp_path).save({"step": 5})
    with pytest.raises(RefusedError, match="another version"):
        record(tmp_path).resume(lambda state: state["missing"])


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "CHECKPOINT_SCHEMA", 1)
        write_checkpoint(tmp_path / LAST, {"weights": torch.ones(1)})
    with pytest.raises(RefusedError, match="another version"):
        read_checkpoint(tmp_path / LAST)
