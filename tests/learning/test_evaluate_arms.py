"""Arms side by side: equal arms differ by nothing, pairs are pairs of seeds, and the page needs nothing beside it."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reachy_kit.cli.main import app
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_policies.evaluation.groups import open_group
from reachy_policies.evaluation.matching import match
from reachy_policies.evaluation.statistics.pairing import compare_scores, pairs
from reachy_policies.evaluation.statistics.scores import Scores, joined

FAST = ("--task", "look_at", "--tier", "kinematic", "--episodes", 3)


def kit_eval(*arguments):
    """Run the command in this process; what it printed on stdout."""
    done = CliRunner().invoke(app, ["eval", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def copied(run, folder: Path, **changes):
    """A copy of a run whose card says something else."""
    shutil.copytree(run.path, folder)
    (folder / "card.json").write_text(json.dumps(asdict(run.card) | changes))
    return folder


@pytest.fixture
def group(trained_run, tmp_path):
    """A folder of two trainings, in truth the same weights twice."""
    for seed in (0, 1):
        copied(trained_run, tmp_path / f"arm/seed-{seed}", seed=seed)
    return tmp_path / "arm"


def scores(success, trainings=None, reward=0.5):
    """Of (T, N) outcomes; the rest is made up."""
    success = np.atleast_2d(np.asarray(success, dtype=bool))
    filler = np.ones(success.shape)
    seeds = tuple(range(len(success))) if trainings is None else trainings
    steps = np.ones((*success.shape, 30), dtype=np.float32)
    return Scores(seeds, success, filler, reward * filler, filler, filler, filler, steps, 25)


# The command


def test_equal_arms_differ_by_exactly_nothing(group):
    told = json.loads(kit_eval(f"a={group}", f"b={group}", *FAST, "--variants", "late", "--json"))
    assert [row["name"] for row in told["variants"]] == ["training", "late"]
    for row in told["variants"]:
        a, b = row["policies"]
        assert {**a, "name": ""} == {**b, "name": ""}
        assert [seed["seed"] for seed in a["per_seed"]] == [0, 1]
        for comparison in (row["against_first"][0], row["at_equal_return"][0]):
            assert comparison["differences"] == [0, 0]
            assert (comparison["pairs"], comparison["p_value"], comparison["verdict"]) == (2, None, "can't tell")


def test_json_tells_who_was_judged_and_repeats_itself(trained_run):
    command = (trained_run.path, "expert", "random", *FAST, "--seed", 5, "--json")
    told, again = (json.loads(kit_eval(*command)) for _ in range(2))
    assert told == again
    assert told["seeds"] == [5, 6, 7]
    assert {"reachy-kit", "torch"} <= told["versions"].keys()
    run, expert, _ = told["arms"]
    assert run["runs"][0]["seed"] == trained_run.card.seed
    assert len(run["runs"][0]["weights_sha256"]) == 64
    assert expert["runs"] == []
    (training,) = told["variants"]
    gaps = [one["gap_closed"] for one in training["policies"]]
    assert gaps[1] == 0  # the expert is where the gap begins
    own, expert_style, random_style = (one["style_deg"] for one in training["policies"])
    assert 0 == expert_style < own < random_style
    assert training["references"]["oracle"]["gap_closed"] == pytest.approx(1)
    assert training["policies"][2]["success"]["value"] < training["references"]["oracle"]["success"]["value"]
    assert [one["scope"] for one in training["against_first"]] == ["one training"] * 2


@pytest.mark.parametrize("variants", ["late,training,noisy", pytest.param("held-out", marks=pytest.mark.long)])
def test_held_out_variants_and_all_of_them_together(variants, group):
    told = json.loads(kit_eval(group, "expert", *FAST[:-1], 1, "--variants", variants, "--json"))
    names = [row["name"] for row in told["variants"]]
    assert names[:2] == ["training", "held-out together"]
    assert names[2:] == told["held_out"]
    assert "training" not in told["held_out"]
    assert {"late", "noisy"} <= set(told["held_out"])
    means = [row["policies"][1]["mean_error_deg"] for row in told["variants"]]
    assert means[1] == pytest.approx(np.mean(means[2:]))


def test_the_page_needs_nothing_beside_it(trained_run, tmp_path):
    page = tmp_path / "compared.html"
    said = kit_eval("expert", trained_run.path, *FAST, "--variants", "late", "--html", page, "--films", 0)
    assert str(page) in said.replace("\n", "")
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
    told = json.loads(kit_eval(trained_run.path, *FAST, "--json"))
    films = re.findall(r'<video src="data:video/mp4;base64,([^"]+)".*?<figcaption>(.*?)</figcaption>', page.read_text())
    assert len(films) == 1
    assert f"training seed {trained_run.card.seed}: training, episode " in films[0][1]
    assert told["episodes"] == 3


# Pairs


def test_arms_pair_on_training_seeds_and_what_was_not_trained_on_all():
    a, b = scores(np.ones((3, 4)), (0, 1, 2)), scores(np.zeros((3, 4)), (2, 7, 0))
    expert = scores(np.ones((1, 4)), (None,))
    assert pairs(a, b) == [(0, 2), (2, 0)]
    assert pairs(expert, b) == [(0, 0), (0, 1), (0, 2)]
    assert pairs(a, expert) == [(0, 0), (1, 0), (2, 0)]
    assert compare_scores(a, b, pairs(a, b)).trainings == (0, 2)
    assert compare_scores(a, scores(np.ones((2, 4)), (8, 9)), []) is None


def test_single_trainings_pair_up_and_speak_for_themselves_only():
    a, b = scores([[1, 1, 0, 0]], (3,)), scores([[1, 1, 1, 0]], (4,))
    made = compare_scores(a, b, pairs(a, b))
    assert (made.scope, made.p_value, made.verdict) == ("one training", None, "can't tell")
    assert made.difference.value == 0.25
    assert -1 < made.difference.low < 0.25 < made.difference.high < 1


def test_ten_equal_trainings_on_few_episodes_have_not_shown_that_nothing_changed():
    """Trainings that agree have a t-interval of no width; a handful of episodes proves nothing all the same."""
    few, many = scores(np.ones((10, 2))), scores(np.ones((10, 200)))
    assert compare_scores(few, few, pairs(few, few)).verdict == "can't tell"
    assert compare_scores(many, many, pairs(many, many)).verdict == "kept"


def test_variants_together_count_alike():
    both = joined([scores([[1, 1], [0, 0]]), scores([[0, 0], [0, 1]])])
    assert both.rates.tolist() == [0.5, 0.25]
    assert both.trainings == (0, 1)


def test_no_gap_where_the_oracle_is_no_better():
    one = scores([[1, 1]])
    assert np.isnan(one.gap_closed(one, one)).all()
    better = replace(one, error=0.5 * one.error)
    assert better.gap_closed(one, replace(one, error=0.0 * one.error)).tolist() == [0.5]


# Equal in-task return


def test_a_better_training_is_matched_by_its_earlier_weights(trained_run, tmp_path):
    features = trained_run.card.environment_state
    folders = [copied(trained_run, tmp_path / name / "seed-0", seed=0) for name in ("first", "other")]
    first, other = (open_group(name, tmp_path / name, "look_at", features) for name in ("first", "other"))
    returns = {"first": 0.5, "other": 0.9, "other at 5": 0.49, "other at 10": 0.7}
    successes = {"first": [1, 0, 0], "other": [1, 1, 1], "other at 5": [1, 1, 0], "other at 10": [1, 1, 1]}

    def judge(one):
        return scores([successes[one.name]], (0,), returns[one.name])

    kept = {one.name: judge(one) for one in (first, other)}
    unmatched = match(first, other, kept, judge, 0.02)
    unmatched.play("late", kept, judge)
    assert unmatched.together == []
    assert unmatched.against("late", 0.05) is None
    assert match(first, other, kept, judge, 0.4).together == [(0, 0)]

    for iteration in ("5", "10"):
        copied(trained_run, folders[1] / "checkpoints" / iteration, seed=0)
    matched = match(first, other, kept, judge, 0.02)
    matched.play("late", kept, judge)
    assert matched.stand_ins == ["other at 5 for seed 0"]
    assert matched.against("late", 0.05).difference.value == pytest.approx(1 / 3)


# Wrong use


def refused(*arguments):
    """What the command says, and how it would exit."""
    with pytest.raises(KitError) as error:
        kit_eval(*arguments)
    assert len(str(error.value)) < 400
    return error.value.exit_code, str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("expert", "--variants", "dark"), "look_at has no variant 'dark'; there are training"),
        (("expert", "--variants", ","), "--variants names none; there are held-out"),
        (("expert", "--tier", "dream"), "--tier dream does not exist"),
        (("expert", "--html", "no/such/folder/x.html"), "there is no folder"),
        (("expert", "--variants", "all", "--robot", "daemon"), "need --robot sim"),
        (("expert", "expert", "--variants", "late"), "two policies are called expert"),
        (("a=nowhere",), "a=nowhere is neither a run nor a folder of runs"),
        (("=nowhere",), "an arm is NAME=DIR"),
        (("nobody", "--variants", "late"), "nobody is neither a run"),
    ],
)
def test_wrong_use_says_what_there_is(arguments, words):
    code, said = refused(*arguments)
    assert code == 2
    assert words in said


def test_no_episodes_are_no_evaluation():
    done = CliRunner().invoke(app, ["eval", "expert", "--variants", "late", "--episodes", "0"])
    assert done.exit_code == 2
    assert "--episodes" in done.output


def test_a_folder_without_runs(tmp_path):
    (tmp_path / "photos").mkdir()
    code, said = refused(f"a={tmp_path}", "--variants", "late")
    assert code == 2
    assert "holds no run" in said


def test_a_bundle_runs_one_episode_after_another(bundle_path):
    code, said = refused(bundle_path, "--variants", "late")
    assert code == 2
    assert "leave out --variants" in said


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"task": "track"}, WrongUseError, "was trained for track, not for look_at"),
        ({"environment_state": ("sound_bearing",)}, RefusedError, "was trained on sound_bearing, not target"),
        ({"seed": 0}, RefusedError, "have the training seed 0"),
        ({"policy_hz": 10}, RefusedError, "decide at different rates"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_runs_that_do_not_belong_together(changes, kind, words, trained_run, tmp_path):
    copied(trained_run, tmp_path / "seed-0", seed=0)
    copied(trained_run, tmp_path / "seed-1", **{"seed": 1} | changes)
    with pytest.raises(kind, match=words):
        open_group("a", tmp_path, "look_at", trained_run.card.environment_state)
