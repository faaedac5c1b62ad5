"""Comparison of training groups: equal groups do not differ, pairs are pairs of seeds, and the page is one file."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reachy_kit.cli.commands import app
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_policies.evaluation.groups import open_group
from reachy_policies.evaluation.matching import match_returns
from reachy_policies.evaluation.statistics.score_comparison import compare_scores, paired_trainings
from reachy_policies.evaluation.statistics.scores import Scores, join_variants
from reachy_policies.runs.run_files import CARD

FAST = ("--task", "look_at", "--tier", "kinematic", "--episodes", 3)


def kit_eval(*arguments):
    """Run the command in this process; return its standard output."""
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def copy_run(run, folder: Path, **changes):
    """Copy a run and change its card."""
    shutil.copytree(run.path, folder)
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | changes))
    return folder


@pytest.fixture
def group(trained_run, tmp_path):
    """A folder of two trainings with the same weights."""
    for seed in (0, 1):
        copy_run(trained_run, tmp_path / f"group/seed-{seed}", seed=seed)
    return tmp_path / "group"


def scores(success, trainings=None, reward=0.5):
    """Scores with the given (T, N) outcomes; the other arrays are filler."""
    success = np.atleast_2d(np.asarray(success, dtype=bool))
    filler = np.ones(success.shape)
    seeds = tuple(range(len(success))) if trainings is None else trainings
    steps = np.ones((*success.shape, 30), dtype=np.float32)
    return Scores(seeds, success, filler, reward * filler, filler, filler, filler, steps, 25)


# The command


def test_equal_groups_do_not_differ(group):
    summary = json.loads(kit_eval(f"a={group}", f"b={group}", *FAST, "--variants", "late", "--json"))
    assert [row["name"] for row in summary["variants"]] == ["training", "late"]
    for row in summary["variants"]:
        a, b = row["policies"]
        assert {**a, "name": ""} == {**b, "name": ""}
        assert [seed["seed"] for seed in a["per_seed"]] == [0, 1]
        for comparison in (row["compared_with_first"][0], row["at_equal_return"][0]):
            assert comparison["differences"] == [0, 0]
            assert (comparison["pairs"], comparison["p_value"], comparison["verdict"]) == (2, None, "can't tell")


def test_json_describes_the_evaluated_policies_and_is_repeatable(trained_run):
    command = (trained_run.path, "expert", "random", *FAST, "--seed", 5, "--json")
    summary, repeated = (json.loads(kit_eval(*command)) for _ in range(2))
    assert summary == repeated
    assert summary["seeds"] == [5, 6, 7]
    assert {"reachy-kit", "torch"} <= summary["versions"].keys()
    run, expert, _ = summary["groups"]
    assert run["runs"][0]["seed"] == trained_run.card.seed
    assert len(run["runs"][0]["weights_sha256"]) == 64
    assert expert["runs"] == []
    (training,) = summary["variants"]
    gaps = [policy["gap_closed"] for policy in training["policies"]]
    assert gaps[1] == 0  # the gap begins at the expert
    own, expert_distance, random_distance = (policy["demo_distance_deg"] for policy in training["policies"])
    assert 0 == expert_distance < own < random_distance
    assert training["references"]["oracle"]["gap_closed"] == pytest.approx(1)
    assert training["policies"][2]["success"]["value"] < training["references"]["oracle"]["success"]["value"]
    assert [compared["scope"] for compared in training["compared_with_first"]] == ["one training"] * 2


def test_a_comparison_names_the_error_of_its_task():
    command = ("expert", "--task", "dance", "--tier", "kinematic", "--episodes", 2)
    assert json.loads(kit_eval(*command, "--json"))["error"] == {"name": "phase error", "unit": "degrees of a beat"}


@pytest.mark.parametrize("variants", ["late,training,noisy", pytest.param("held-out", marks=pytest.mark.long)])
def test_held_out_variants_are_also_scored_together(variants, group):
    summary = json.loads(kit_eval(group, "expert", *FAST[:-1], 1, "--variants", variants, "--json"))
    names = [row["name"] for row in summary["variants"]]
    assert names[:2] == ["training", "held-out together"]
    assert names[2:] == summary["held_out"]
    assert "training" not in summary["held_out"]
    assert {"late", "noisy"} <= set(summary["held_out"])
    means = [row["policies"][1]["mean_error"] for row in summary["variants"]]
    assert means[1] == pytest.approx(np.mean(means[2:]))


def test_the_page_is_one_file(trained_run, tmp_path):
    page = tmp_path / "compared.html"
    output = kit_eval("expert", trained_run.path, *FAST, "--variants", "late", "--html", page, "--films", 0)
    assert str(page) in output.replace("\n", "")
    text = page.read_text()
    assert "http" not in text
    sources = re.findall(r"""(?:src|href)=["']?([^"'\s>]{0,40})""", text)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "late" in text
    assert "can&#39;t tell" in text


def test_the_page_shows_the_worst_episodes(trained_run, tmp_path):
    pytest.importorskip("av")
    page = tmp_path / "compared.html"
    kit_eval(trained_run.path, *FAST, "--html", page, "--films", 1)
    summary = json.loads(kit_eval(trained_run.path, *FAST, "--json"))
    film = re.compile(r'<video src="data:video/mp4;base64,([^"]+)".*?<figcaption>(.*?)</figcaption>', re.DOTALL)
    films = film.findall(page.read_text())
    assert len(films) == 1
    assert f"training seed {trained_run.card.seed}: training, episode " in films[0][1]
    assert summary["episodes"] == 3


# Pairs


def test_groups_pair_on_training_seeds_and_an_untrained_policy_with_every_training():
    a, b = scores(np.ones((3, 4)), (0, 1, 2)), scores(np.zeros((3, 4)), (2, 7, 0))
    expert = scores(np.ones((1, 4)), (None,))
    assert paired_trainings(a, b) == [(0, 2), (2, 0)]
    assert paired_trainings(expert, b) == [(0, 0), (0, 1), (0, 2)]
    assert paired_trainings(a, expert) == [(0, 0), (1, 0), (2, 0)]
    assert compare_scores(a, b, paired_trainings(a, b)).trainings == (0, 2)
    assert compare_scores(a, scores(np.ones((2, 4)), (8, 9)), []) is None


def test_single_trainings_are_paired_and_allow_no_claim_about_training():
    a, b = scores([[1, 1, 0, 0]], (3,)), scores([[1, 1, 1, 0]], (4,))
    compared = compare_scores(a, b, paired_trainings(a, b))
    assert (compared.scope, compared.p_value, compared.verdict) == ("one training", None, "can't tell")
    assert compared.difference.value == 0.25
    assert -1 < compared.difference.low < 0.25 < compared.difference.high < 1


def test_ten_equal_trainings_on_few_episodes_do_not_show_that_success_was_kept():
    """Trainings that agree have a t-interval without width; the interval over episodes still counts."""
    few, many = scores(np.ones((10, 2))), scores(np.ones((10, 200)))
    assert compare_scores(few, few, paired_trainings(few, few)).verdict == "can't tell"
    assert compare_scores(many, many, paired_trainings(many, many)).verdict == "kept"


def test_joined_variants_have_equal_weight():
    both = join_variants([scores([[1, 1], [0, 0]]), scores([[0, 0], [0, 1]])])
    assert both.rates.tolist() == [0.5, 0.25]
    assert both.trainings == (0, 1)


def test_there_is_no_gap_unless_the_oracle_does_better():
    expert = scores([[1, 1]])
    assert np.isnan(expert.gap_closed(expert, expert)).all()
    better, oracle = replace(expert, error=0.5 * expert.error), replace(expert, error=0.0 * expert.error)
    assert better.gap_closed(expert, oracle).tolist() == [0.5]


# Equal in-task return


def test_a_better_training_is_matched_by_its_earlier_weights(trained_run, tmp_path):
    features = trained_run.card.environment_state
    folders = [copy_run(trained_run, tmp_path / name / "seed-0", seed=0) for name in ("first", "other")]
    first, other = (open_group(name, tmp_path / name, "look_at", features) for name in ("first", "other"))
    returns = {"first": 0.5, "other": 0.9, "other at 5": 0.49, "other at 10": 0.7}
    successes = {"first": [1, 0, 0], "other": [1, 1, 1], "other at 5": [1, 1, 0], "other at 10": [1, 1, 1]}

    def score_group(group):
        return scores([successes[group.name]], (0,), returns[group.name])

    by_group = {group.name: score_group(group) for group in (first, other)}
    unmatched = match_returns(first, other, by_group, score_group, 0.02)
    unmatched.add_variant("late", by_group, score_group)
    assert unmatched.pairs == []
    assert unmatched.compare("late", 0.05) is None
    assert match_returns(first, other, by_group, score_group, 0.4).pairs == [(0, 0)]

    for iteration in ("5", "10"):
        copy_run(trained_run, folders[1] / "checkpoints" / iteration, seed=0)
    matched = match_returns(first, other, by_group, score_group, 0.02)
    matched.add_variant("late", by_group, score_group)
    assert matched.stand_ins == ["other at 5 for seed 0"]
    assert matched.compare("late", 0.05).difference.value == pytest.approx(1 / 3)


# Wrong use


def refuse(*arguments):
    """Run a command that is refused; return its exit code and message."""
    with pytest.raises(KitError) as error:
        kit_eval(*arguments)
    assert len(str(error.value)) < 400
    return error.value.exit_code, str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("expert", "--variants", "dark"), "look_at has no variant 'dark'; there are training"),
        (("expert", "--variants", ","), "--variants is empty; there are held-out"),
        (("expert", "--tier", "dream"), "--tier dream does not exist"),
        (("expert", "--html", "no/such/folder/x.html"), "there is no folder"),
        (("expert", "--variants", "all", "--robot", "daemon"), "need --robot sim"),
        (("expert", "expert", "--variants", "late"), "two policies are called expert: give it once"),
        (("a/it", "b b/it", "--variants", "late"), "are called it: tell them apart with A=a/it 'B=b b/it'"),
        (("a=x", "a=y"), "are called a: tell them apart with A=x B=y"),
        (("a=nowhere",), "a=nowhere is neither a run nor a folder of runs"),
        (("=nowhere",), "a group of runs is given as NAME=DIR"),
        (("unknown", "--variants", "late"), "unknown is neither a run"),
    ],
)
def test_wrong_use_lists_the_alternatives(arguments, words):
    code, message = refuse(*arguments)
    assert code == 2
    assert words in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("expert", "random", "--margin", 3), "--margin and --match compare"),
        (("expert", "random", "--match", 0.1), "--margin and --match compare"),
        (("expert", "--tier", "kinematic", "--margin", 5), "--margin and --match compare"),
        (("expert", "random", "--films", 0), "--html"),
        (("expert", "--tier", "kinematic", "--films", 2), "--html"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(arguments, words):
    code, message = refuse(*arguments)
    assert code == 2
    assert words in message


def test_zero_episodes_are_refused():
    result = CliRunner().invoke(app, ["eval", "expert", "--variants", "late", "--episodes", "0"])
    assert result.exit_code == 2
    assert "--episodes" in result.output


def test_a_folder_without_runs_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    code, message = refuse(f"a={tmp_path}", "--variants", "late")
    assert code == 2
    assert "holds no run" in message


def test_a_bundle_is_refused_in_the_batched_simulator(bundle_path):
    code, message = refuse(bundle_path, "--variants", "late")
    assert code == 2
    assert "leave out --variants" in message


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"task": "track"}, WrongUseError, "was trained for track, not for look_at"),
        ({"environment_state": ("sound_bearing",)}, RefusedError, "was trained on sound_bearing, not target"),
        ({"seed": 0}, RefusedError, "have the same training seed 0"),
        ({"policy_hz": 10}, RefusedError, "decide at different rates"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_runs_that_do_not_belong_together_are_refused(changes, kind, words, trained_run, tmp_path):
    copy_run(trained_run, tmp_path / "seed-0", seed=0)
    copy_run(trained_run, tmp_path / "seed-1", **{"seed": 1} | changes)
    with pytest.raises(kind, match=words):
        open_group("a", tmp_path, "look_at", trained_run.card.environment_state)
