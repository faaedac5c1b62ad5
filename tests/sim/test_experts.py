"""The scripted experts and oracles: fixed numbers that learning is measured against."""

import numpy as np
import pytest

from reachy_kit.runtime.tasks.task_registry import own_task_names
from reachy_sim.tasks import simulated_task

SEEDS = range(120)


@pytest.mark.parametrize(("tier", "count"), [("kinematic", 120), pytest.param("physics", 48, marks=pytest.mark.long)])
def test_on_hard_track_the_oracle_succeeds_and_the_expert_often_fails(run_expert, tier, count):
    person, best = (
        run_expert("track", "hard", seeds=SEEDS[:count], oracle=oracle, tier=tier) for oracle in (False, True)
    )
    assert 0.5 <= person.success.mean() <= 0.85
    assert best.success.mean() >= 0.95
    assert best.error[:, 25:].mean() <= 0.65 * person.error[:, 25:].mean()


@pytest.mark.parametrize("task", own_task_names())
def test_every_task_can_be_demonstrated_and_done_better(run_expert, task):
    person, best = (run_expert(task, seeds=SEEDS, oracle=oracle) for oracle in (False, True))
    assert person.success.mean() >= 0.8
    assert best.success.mean() >= 0.97
    assert best.reward.mean() > person.reward.mean()


@pytest.mark.parametrize("task", own_task_names())
def test_every_task_has_four_held_out_variants(run_expert, task):
    usual = run_expert(task, seeds=SEEDS[:4])
    others = [name for name in simulated_task(task).variants if name != "training"]
    assert len(others) >= 4
    seen_by_cameras_only = {"other_colour", "dim_light", "busy_background"}
    same = [
        name
        for name in sorted(set(others) - seen_by_cameras_only)
        if np.array_equal(run_expert(task, name, seeds=SEEDS[:4]).states, usual.states)
    ]
    assert same == []


def test_the_expert_reacts_as_late_as_a_person(run_expert):
    """A ball that is there from the start moves nothing before 0.16 s, and something by 0.4 s."""
    states = run_expert("look_at", seeds=SEEDS).states[:, :, 3:6]
    moved = np.abs(states - states[:, :1]).max(axis=(0, 2)) > np.deg2rad(1.5)
    assert not moved[: round(0.16 * 25)].any()
    assert moved[: round(0.8 * 25)].any()
