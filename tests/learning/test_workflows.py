"""Workflows as a notebook uses them: results as data, progress to a reporter of one's own, and nothing printed."""

import contextlib

import pytest

from reachy_kit.runtime.errors import KitError, NoRobotError, WrongUseError
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.workflows import evaluate
from reachy_kit.workflows.driving.run_plan import RunSettings
from reachy_kit.workflows.evaluate import evaluate_policies
from reachy_kit.workflows.group_comparison import compare_policies
from reachy_kit.workflows.inputs.build_config import build_config, refuse_rest
from reachy_kit.workflows.run import run
from reachy_kit.workflows.training.sweep import train_seeds


class Log:
    """A reporter that keeps everything."""

    def __init__(self):
        self.done, self.labels, self.notes = {}, [], []

    @contextlib.contextmanager
    def progress(self, label, total, done=0):
        self.done[label] = [done, total]

        def advance():
            self.done[label][0] += 1

        yield advance

    def working(self, label):
        self.labels.append(label)
        return contextlib.nullcontext()

    def note(self, text):
        self.notes.append(text)


def test_an_evaluation_reports_to_the_caller_and_prints_nothing(capfd):
    log = Log()
    evaluations = evaluate_policies(["expert", "random"], task="look_at", episodes=2, seed=5, reporter=log)
    assert log.done == {"expert on sim": [2, 2], "random on sim": [2, 2]}
    assert [evaluation.policy for evaluation in evaluations.results] == ["expert", "random"]
    assert [episode.seed for episode in evaluations.results[0].episodes] == [5, 6]
    assert evaluations.elsewhere == []
    assert capfd.readouterr() == ("", "")


class Broken:
    """A watchdog that reports a fault at each tick; the ticks are its clock."""

    patience, brief, starts_over, error, ticks = 0.2, 0.0, True, NoRobotError, 0

    def begin(self):
        pass

    def now(self):
        return self.ticks / 50

    def trouble(self, tick):
        self.ticks += 1
        return "the robot is broken"


def test_a_fault_ends_an_evaluation(monkeypatch):
    broken, log = Broken(), Log()
    monkeypatch.setattr(
        evaluate, "guard", lambda policy, *rest, **options: GuardedPolicy(policy, [broken], log.note, broken.now)
    )
    with pytest.raises(NoRobotError, match="the robot is broken"):
        evaluate_policies(["expert"], task="look_at", episodes=2, seed=5, reporter=log)
    assert log.done == {"expert on sim": [0, 2]}


def test_a_comparison_reports_each_training_on_each_variant():
    log = Log()
    options = {"task": "look_at", "variants": "late", "tier": "kinematic", "episodes": 2}
    result = compare_policies(["expert", "random"], **options, reporter=log)
    assert list(result.comparison.scores) == ["training", "late"]
    (done,) = log.done.values()
    assert done[0] == done[1] == 8  # two references and two groups, on two variants


def test_a_bundle_runs_without_a_reporter(bundle_path, capfd):
    ran = run([bundle_path], RunSettings(robot="sim", episodes=2, seconds=0.4, seed=3))
    assert [episode.seed for episode in ran.episodes] == [3, 4]
    assert ran.error is not None and ran.error.unit == "degrees"
    assert capfd.readouterr().out == ""


def test_a_bundle_is_a_behaviour_among_others(bundle_path):
    ran = run([bundle_path, "idle"], RunSettings(robot="sim", seconds=8.0, seed=3))
    assert set(ran.shares) == {str(bundle_path), "idle"} and min(ran.shares.values()) > 0.1
    assert ran.hand_overs >= 2
    assert ran.error is None


def test_a_sweep_names_the_seed_that_failed_and_why(tmp_path):
    log = Log()
    with pytest.raises(KitError, match=r"2 of 2 seeds failed \(seed 0: error: .*nothing is not a reachy-kit dataset"):
        train_seeds("imitation", tmp_path / "runs", 2, {"dataset": tmp_path / "nothing"}, reporter=log)
    assert log.done == {"seeds": [2, 2]}


def test_a_configuration_takes_its_settings_and_leaves_the_others():
    from reachy_policies.imitation.behavior_cloning import ImitationConfig

    settings = {"max_steps": 7, "seed": 3, "hidden": 16}
    config = build_config(settings, ImitationConfig, seed=1)
    assert (config.max_steps, config.seed) == (7, 3)
    assert settings == {"hidden": 16}
    with pytest.raises(WrongUseError, match="no setting is called hidden; there are augment"):
        refuse_rest(settings, ImitationConfig)


@pytest.mark.parametrize("value", ["many", True, 1.5], ids=repr)
def test_a_setting_of_another_type_is_refused(value):
    from reachy_policies.imitation.behavior_cloning import ImitationConfig

    with pytest.raises(WrongUseError, match="the default is 4000"):
        build_config({"max_steps": value}, ImitationConfig)
