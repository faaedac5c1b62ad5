"""What a hand shows is learned: takes in which a simulated hand guides the head, through to the evaluation."""

import pytest

from reachy_kit.workflows.evaluate import evaluate_policies
from reachy_kit.workflows.record import record
from reachy_kit.workflows.training.train_imitation import train_imitation


@pytest.mark.long
def test_ten_takes_by_hand_teach_to_look_at_the_ball(tmp_path):
    recorded = record(tmp_path / "data", task="look_at", teleop="hand", episodes=10)
    assert recorded.episodes == 10
    train_imitation(recorded.dataset, tmp_path / "run", seed=0)
    (evaluation,) = evaluate_policies([str(tmp_path / "run")], task="look_at", episodes=100).results
    assert sum(evaluation.successes) >= 80
