"""`dataset check`: each finding in a dataset that has it, none in a sound one, and fixes that are whole or absent."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reachy_kit.dataset.checks.finding import Severity, all_checks
from reachy_kit.dataset.checks.take_check import check_episode, describe_take
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.recording.layout import LAYOUT_FILE
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    IMAGE_TIME,
    OBS_ENV_STATE,
    OBS_STATE,
    REQUESTED_ACTION,
    SEED,
    SUCCESS,
    SUCCESS_MARK,
)
from reachy_kit.workflows.datasets.dataset_check import check_dataset
from reachy_kit.workflows.datasets.trimming import trim_episodes
from reachy_kit.workflows.training.train_imitation import train_imitation

from .saved_episodes import files, killed_at, lerobot_dataset

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
PITCH, YAW, RIGHT, LEFT = 4, 5, 7, 8
ALL = tuple(range(8))


def table(root: Path) -> Path:
    return sorted(root.glob("data/*/*.parquet"))[0]


def rewrite(path: Path, key: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Change a column, given as (frames, N) or (frames,) with the episode of each frame."""
    rows = pq.read_table(path)
    column = rows.schema.field(key)
    values = np.array(rows[key].to_pylist())
    values = change(values, np.array(rows["episode_index"].to_pylist()))
    place = rows.schema.get_field_index(key)
    pq.write_table(rows.set_column(place, column, pa.array(values.tolist(), type=column.type)), path)


def alter(key: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda root: rewrite(table(root), key, change)


def frames_of(episode: np.ndarray) -> np.ndarray:
    """Number of each frame in its episode."""
    starts = np.flatnonzero(np.diff(episode, prepend=-1))
    return np.arange(len(episode)) - np.repeat(starts, np.diff([*starts, len(episode)]))


def in_episode(index: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    def changed(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[episode == index] = change(values[episode == index])
        return values

    return changed


def hold(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """The first value of each episode throughout."""
    starts = np.flatnonzero(np.diff(episode, prepend=-1))
    return values[starts][episode]


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for one in changes:
            one(root)

    return change


def change_info(root: Path, **changes: object) -> None:
    (root / INFO).write_text(json.dumps(json.loads((root / INFO).read_text()) | changes))


def change_stats(root: Path, key: str, **changes: object) -> None:
    stats = json.loads((root / STATS).read_text())
    stats[key] |= changes
    (root / STATS).write_text(json.dumps(stats))


def change_words(root: Path, words: str) -> None:
    for path in [root / TASKS, *root.glob("meta/episodes/*/*.parquet")]:
        rows = pq.read_table(path)
        key = "tasks" if "tasks" in rows.schema.names else next(
            name for name in rows.schema.names if name != "task_index"
        )  # fmt: skip
        old = rows[key].to_pylist()
        new = pa.array([[words] if key == "tasks" else words for _ in old], type=rows.schema.field(key).type)
        pq.write_table(rows.set_column(rows.schema.get_field_index(key), rows.schema.field(key), new), path)


def glitch(values: np.ndarray) -> np.ndarray:
    values[40, YAW] += 0.4
    return values


def swap_antennas(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[:, [RIGHT, LEFT]] = values[:, [LEFT, RIGHT]]
    return values


def scaled(axis: int, factor: float) -> Callable[..., np.ndarray]:
    def change(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
        factors = np.ones(values.shape[1])
        factors[axis] = factor
        return values * factors

    return change


def copy_episode(key: str) -> Callable[[Path], None]:
    def change(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[episode == 6] = values[episode == 2]
        return values

    return alter(key, change)


def asymmetric(root: Path) -> None:
    """Move the antennas differently, in command and measurement, as a dance for one antenna would."""

    def change(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[:, LEFT] += 0.3 * np.sin(frames_of(episode) / 5)
        return values

    rewrite(table(root), ACTION, change)
    rewrite(table(root), OBS_STATE, change)


FINDINGS: dict[str, tuple[Callable[[Path], object], str, Severity, tuple[int, ...] | None, str]] = {
    "no-table": (lambda root: table(root).unlink(), "RK101", ERROR, ALL, "is missing"),
    "frame-count": (lambda root: change_info(root, total_frames=7), "RK103", WARNING, (), "counts 7 frames"),
    "disorder": (alter("frame_index", lambda values, _: values[::-1]), "RK103", ERROR, ALL, "their order"),
    "time-stamps": (
        alter("timestamp", in_episode(3, lambda values: 1.5 * values)), "RK103", WARNING, (3,), "time stamps",
    ),
    "not-a-number": (
        alter(ACTION, in_episode(2, lambda values: np.where(np.arange(len(values))[:, None] == 5, np.nan, values))),
        "RK104", ERROR, (2,), "frame 5 of episode 2",
    ),
    "degrees": (
        both(alter(OBS_STATE, lambda values, _: values * 57.3), alter(ACTION, lambda values, _: values * 57.3)),
        "RK105", ERROR, None, "outside",
    ),
    "no-words": (lambda root: change_words(root, "todo"), "RK106", WARNING, ALL, "do not say in words"),
    "lost-task": (alter("task_index", in_episode(1, lambda values: values + 9)), "RK106", ERROR, (1,), "lacks"),
    "no-statistics": (lambda root: (root / STATS).unlink(), "RK107", ERROR, (), "is missing"),
    "cut-statistics": (lambda root: (root / STATS).write_text("{"), "RK107", ERROR, (), "damaged"),
    "stale-statistics": (lambda root: change_stats(root, ACTION, mean=[1.0] * 9), "RK107", ERROR, (), "for action"),
    "nan-statistics": (
        lambda root: change_stats(root, "next.reward", mean=[float("nan")]), "RK107", WARNING, (), "next.reward",
    ),
    "slow": (alter(CAPTURE_TIME, in_episode(4, lambda values: 1.1 * values)), "RK111", WARNING, (4,), "at 22.7"),
    "much-too-slow": (alter(CAPTURE_TIME, lambda values, _: 1.5 * values), "RK111", ERROR, ALL, "50 % too high"),
    "gap": (
        alter(CAPTURE_TIME, in_episode(5, lambda values: values + 0.3 * (np.arange(len(values)) > 30))),
        "RK112", WARNING, (5,), "0.34 s, after frame 30 of episode 5",
    ),
    "dropped": (
        alter(CAPTURE_TIME, in_episode(5, lambda values: values + 0.04 * (np.arange(len(values)) > 30) + 0.04 * (
            np.arange(len(values)) > 50))), "RK113", WARNING, (5,), "lacks 2 of 90",
    ),
    "clock": (
        alter(CAPTURE_TIME, in_episode(1, lambda values: values - 0.5 * (np.arange(len(values)) > 30))),
        "RK114", WARNING, (1,), "backwards",
    ),
    "clock-of-32-bits": (
        alter(CAPTURE_TIME, lambda values, _: np.full_like(values, 1.7e9)), "RK114", WARNING, (), "do not advance",
    ),
    "rest": (
        both(*(alter(key, in_episode(3, lambda values: np.concatenate([values[:1].repeat(60, 0), values[:-60]])))
               for key in (ACTION, OBS_STATE)),
             alter(OBS_ENV_STATE, in_episode(3, lambda values: np.where(np.arange(5) == 3, 1, values)))),
        "RK116", WARNING, (3,), "begins with",
    ),
    "no-motion": (both(alter(ACTION, hold), alter(OBS_STATE, hold)), "RK116", WARNING, ALL, "nothing moves in 8"),
    "tremor": (
        alter(ACTION, in_episode(0, lambda values: values + 0.03 * (-1.0) ** np.arange(len(values))[:, None] * (
            np.arange(9) == YAW))), "RK121", WARNING, (0,), "head_yaw.pos of episode 0",
    ),
    "glitch": (alter(ACTION, in_episode(6, glitch)), "RK122", WARNING, (6,), "in frame 4"),
    "at-the-limit": (
        both(*(alter(key, in_episode(2, lambda values: np.where(
            np.arange(9) == 2, np.minimum(0.03, 0.001 * np.arange(len(values))[:, None]), values)))
            for key in (ACTION, OBS_STATE))), "RK123", WARNING, (2,), "head_z.pos",
    ),
    "limited": (
        alter(REQUESTED_ACTION, in_episode(7, lambda values: values + 0.5 * (np.arange(9) == PITCH))),
        "RK124", WARNING, (7,), "most of head_pitch.pos",
    ),
    "limp": (alter(OBS_STATE, lambda values, episode: np.where(
        np.arange(9) == YAW, hold(values, episode), values)), "RK125", WARNING, None, "head_yaw.pos was commanded"),
    "swapped": (both(asymmetric, alter(OBS_STATE, swap_antennas)), "RK125", ERROR, ALL, "swapped"),
    "reversed": (alter(OBS_STATE, scaled(YAW, -1.0)), "RK125", ERROR, None, "head_yaw.pos reversed"),
    "other-units": (alter(OBS_STATE, scaled(RIGHT, 4.0)), "RK125", ERROR, ALL, "times as far in observation.state"),
    "one-place": (
        both(*(alter(key, lambda values, _: values * np.where(np.isin(np.arange(9), (PITCH, YAW)), 0.1, 1.0))
               for key in (ACTION, OBS_STATE))), "RK131", WARNING, (), "looks one way",
    ),
    "copy": (both(copy_episode(ACTION), copy_episode(OBS_STATE)), "RK132", WARNING, (6,), "6 of 2"),
    "equal-seeds": (alter(SEED, in_episode(4, lambda values: values - 3)), "RK132", NOTE, (4,), "both have"),
    "no-success": (alter(SUCCESS, lambda values, _: np.zeros_like(values)), "RK133", NOTE, (), "marks are missing"),
    "failed": (
        both(alter(SUCCESS, in_episode(1, np.zeros_like)), alter(SUCCESS_MARK, in_episode(1, np.zeros_like))),
        "RK133", NOTE, (1,), "1 of 8",
    ),
    "blind": (
        alter(OBS_ENV_STATE, in_episode(2, lambda values: values * (np.arange(5) != 3))),
        "RK134", WARNING, (2,), "hardly sensed in 1 of 8",
    ),
}  # fmt: skip
"""Name → damage, number, severity, episodes (None: not asked), words of the message."""


@pytest.fixture
def dataset(recorded_dataset, tmp_path):
    """A copy of the recorded dataset, to be altered."""
    return shutil.copytree(recorded_dataset, tmp_path / "data")


def test_a_recording_has_no_finding(dataset):
    assert check_dataset(dataset).findings == ()


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_names_what_is_wrong_and_where(name, dataset):
    damage, number, severity, episodes, words = FINDINGS[name]
    damage(dataset)
    found = {finding.number: finding for finding in check_dataset(dataset).findings}
    assert number in found, found
    assert (found[number].severity, found[number].remedy != "") == (severity, True)
    assert words in found[number].message
    if episodes is not None:
        assert found[number].episodes == episodes


def test_every_check_has_a_dataset_that_it_finds_something_in():
    elsewhere = {"RK102", "RK115"}  # they need images
    assert {check.number for check in all_checks()} == {number for _, number, *_ in FINDINGS.values()} | elsewhere


def test_an_error_of_an_episode_does_not_hide_behind_what_follows_from_it(dataset):
    FINDINGS["degrees"][0](dataset)
    found = {finding.number for finding in check_dataset(dataset).findings}
    assert found <= {"RK105", "RK107"}


def test_equal_seeds_of_a_real_robot_are_not_a_finding(dataset):
    FINDINGS["equal-seeds"][0](dataset)
    layout = json.loads((dataset / LAYOUT_FILE).read_text())
    layout["provenance"] |= {"robot": "daemon", "success": "operator"}
    (dataset / LAYOUT_FILE).write_text(json.dumps(layout))
    assert check_dataset(dataset, only=["RK132"]).findings == ()


def test_equal_seeds_are_not_dropped(dataset):
    FINDINGS["equal-seeds"][0](dataset)
    assert [finding.command for finding in check_dataset(dataset, only=["RK132"]).findings] == [""]


# --- videos -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def films(image_dataset, tmp_path):
    return shutil.copytree(image_dataset, tmp_path / "films")


def test_a_camera_that_freezes_is_found(films):
    alter(IMAGE_TIME, in_episode(1, lambda values: np.minimum(values, 0.5)))(films)
    (finding,) = check_dataset(films, only=["RK115"]).findings
    assert (finding.severity, finding.episodes) == (WARNING, (1,))


def test_a_recording_with_images_has_no_finding(films):
    assert check_dataset(films).findings == ()


# --- what training does with them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["disorder", "lost-task", "swapped", "much-too-slow", "not-a-number"])
def test_training_refuses_what_spoils_it(name, dataset, tmp_path):
    FINDINGS[name][0](dataset)
    with pytest.raises(RefusedError, match=FINDINGS[name][4]):
        train_imitation(dataset, tmp_path / "run", settings={"max_steps": 5, "eval_every": 5})


def test_training_takes_what_is_only_a_warning(dataset, tmp_path):
    for name in ("frame-count", "gap", "glitch", "limp"):
        FINDINGS[name][0](dataset)
    assert not check_dataset(dataset, only=["RK103", "RK112", "RK122", "RK125"]).spoilt
    train_imitation(dataset, tmp_path / "run", settings={"max_steps": 5, "eval_every": 5})


# --- fixes ------------------------------------------------------------------------------------------------------------

MENDED = ("frame-count", "no-statistics", "cut-statistics", "stale-statistics", "nan-statistics")


@pytest.mark.parametrize("name", MENDED)
def test_what_can_be_mended_without_loss_is_mended_once(name, dataset):
    sound = files(dataset)
    FINDINGS[name][0](dataset)
    report = check_dataset(dataset, fix=True)
    assert (report.findings, [finding.number for finding in report.fixed]) == ((), [FINDINGS[name][1]])
    mended = files(dataset)
    assert mended.keys() == sound.keys()
    assert all(json.loads(mended[name]) == json.loads(sound[name]) for name in (INFO, STATS))
    assert check_dataset(dataset, fix=True).fixed == ()
    assert files(dataset) == mended


def test_what_has_no_words_gets_them(kit, dataset):
    change_words(dataset, "todo")
    told = kit.run("dataset", "check", dataset)
    assert "--fix --instruction TEXT" in told.out
    check_dataset(dataset, fix=True)
    assert [finding.number for finding in check_dataset(dataset).findings] == ["RK106"], "words are not invented"
    report = check_dataset(dataset, fix=True, instruction="Look at me.")
    assert (report.findings, [finding.number for finding in report.fixed]) == ((), ["RK106", "RK107"])
    read = lerobot_dataset(dataset)
    assert {read[row]["task"] for row in (0, 300, 703)} == {"Look at me."}
    assert StoredDataset(dataset).layout.instruction == "Look at me."
    mended = files(dataset)
    check_dataset(dataset, fix=True, instruction="Look at me.")
    assert files(dataset) == mended


def test_the_command_that_mends_is_pasted(kit, dataset):
    change_info(dataset, total_frames=7)
    command = check_dataset(dataset).findings[0].command
    assert kit.run(*shlex.split(command)[1:]).code == 0
    assert check_dataset(dataset).findings == ()


def test_the_command_that_trims_is_pasted(dataset):
    FINDINGS["rest"][0](dataset)
    (finding,) = check_dataset(dataset, only=["RK116"]).findings
    assert shlex.split(finding.command)[1:] == ["dataset", "trim", str(dataset), "--episodes", "3"]


def test_a_rest_in_which_the_target_is_hidden_is_neither_found_nor_trimmed(dataset):
    FINDINGS["rest"][0](dataset)
    alter(OBS_ENV_STATE, in_episode(3, lambda values: np.where(
        (np.arange(len(values))[:, None] < 60) & (np.arange(5) == 3), 0, values)))(dataset)  # fmt: skip
    assert check_dataset(dataset, only=["RK116"]).findings == ()
    assert 3 not in trim_episodes(dataset).changed


def test_lerobot_reads_the_statistics_that_were_mended(dataset):
    (dataset / STATS).unlink()
    check_dataset(dataset, fix=True)
    assert lerobot_dataset(dataset).meta.stats[ACTION]["mean"] == pytest.approx(
        StoredDataset(dataset).column(ACTION).mean(axis=0), abs=1e-6
    )


def test_quantiles_are_those_of_all_frames(dataset):
    stats = json.loads((dataset / STATS).read_text())
    yaw = StoredDataset(dataset).column(ACTION)[:, YAW]
    assert stats[ACTION]["q99"][YAW] == pytest.approx(np.quantile(yaw, 0.99))


def test_a_fix_that_is_killed_anywhere_is_whole_or_absent(dataset, recorded_dataset):
    change_stats(dataset, ACTION, mean=[1.0] * 9)
    stale = files(dataset)
    for number in (0, 3, 5, 50):
        if not killed_at(number, lambda: check_dataset(dataset, fix=True)):
            break
        now = (dataset / STATS).read_bytes()
        assert now in (stale[STATS], (recorded_dataset / STATS).read_bytes())
    assert number == 50
    assert check_dataset(dataset, fix=True).findings == ()
    assert set(files(dataset)) == set(stale)


def test_a_fix_is_not_made_while_another_program_records(kit, until, dataset):
    change_info(dataset, total_frames=7)
    recording = kit.start("record", "--episodes", 40, "--out", kit.folder / "data")
    until((kit.folder / "data/meta/info.json").exists)
    kit.run("dataset", "check", "data", "--fix").says(4, "recorded into by process")
    recording.send(2)
    recording.wait()


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_shows_findings_and_ends_with_a_code(kit, dataset):
    sound = kit.run("dataset", "check", dataset)
    assert (sound.code, sound.out.splitlines()[-1]) == (0, "nothing found"), sound
    FINDINGS["gap"][0](dataset)
    warned = kit.run("dataset", "check", dataset)
    assert warned.code == 0 and "warning RK112  gaps: 1 gap" in warned.out
    assert re.search(r"dataset drop \S+ 5$", warned.out, re.MULTILINE), warned.out
    FINDINGS["swapped"][0](dataset)
    spoilt = kit.run("dataset", "check", dataset, "--json")
    assert spoilt.code == 1
    assert {"RK112", "RK125"} <= {finding["number"] for finding in spoilt.json["findings"]}
    assert (spoilt.json["episodes"], spoilt.json["frames"], spoilt.json["fps"]) == (8, 704, 25)
    alone = kit.run("dataset", "check", dataset, "--only", "rk112")
    assert (alone.code, len(alone.out.splitlines()), alone.err) == (0, 2, "")


def test_wrong_use_and_what_cannot_be_read(kit, dataset):
    kit.run("dataset", "check", "nothing").says(2, "does not exist")
    kit.run("dataset", "check", dataset, "--only", "RK999").says(2, "RK999 does not exist", "RK101")
    kit.run("dataset", "check", dataset, "--instruction", "Look.").says(2, "give --fix too")
    (kit.folder / "notes.html").write_text("mine")
    kit.run("dataset", "check", dataset, "--html", "notes.html").says(4, "notes.html")
    change_info(dataset, codebase_version="v2.1")
    kit.run("dataset", "check", dataset).says(4, "format v2.1", "dataset convert")


def test_the_page_shows_each_finding_with_its_picture(dataset, tmp_path):
    for name in ("gap", "tremor", "limp", "limited"):
        FINDINGS[name][0](dataset)
    check_dataset(dataset, html=tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    for number, picture in (("RK112", "measured rate"), ("RK121", "jerk"), ("RK125", "correlation")):
        assert 0 < page.index(f"<h2>{number}") < page.index(picture, page.index(f"<h2>{number}"))
    assert page.count("data:image/png") == 7
    check_dataset(dataset, html=tmp_path / "check.html")  # over its own page


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("frame-count", "Nothing of this keeps a training from starting."),
        ("lost-task", "Training refuses this dataset."),
        ("no-statistics", "Training from images or of LeRobot"),
    ],
)
def test_the_page_says_which_training_refuses_the_dataset(name, verdict, dataset, tmp_path):
    FINDINGS[name][0](dataset)
    check_dataset(dataset, only=[FINDINGS[name][1]], html=tmp_path / "check.html")
    assert verdict in (tmp_path / "check.html").read_text()


# --- a single take ----------------------------------------------------------------------------------------------------


def take_of(root: Path, episode: int):
    stored = StoredDataset(root)
    keys = (CAPTURE_TIME, SEED, REQUESTED_ACTION)
    of_episode = stored.read(stored.tables[0])[episode] | stored.read(stored.tables[0], *keys)[episode]
    length = len(of_episode[ACTION])
    return [{key: np.atleast_1d(values[row]) for key, values in of_episode.items()} for row in range(length)], stored


def test_a_take_is_checked_as_its_episode_would_be(dataset):
    frames, stored = take_of(dataset, 5)
    assert check_episode(frames, stored.layout) == [] and describe_take(frames, stored.layout) == ""
    FINDINGS["gap"][0](dataset)
    frames, stored = take_of(dataset, 5)
    assert [finding.number for finding in check_episode(frames, stored.layout)] == ["RK112"]
    assert describe_take(frames, stored.layout).startswith("RK112 gaps: 1 gap; the longest is 0.34 s, after frame 30")
    frames[3][ACTION] = np.full(9, np.nan)
    assert [finding.number for finding in check_episode(frames, stored.layout)] == ["RK104"]
    assert check_episode([], stored.layout) == []


def test_a_number_that_two_checks_take_is_refused():
    from reachy_kit.dataset.checks.finding import Aspect, register_check

    all_checks()
    with pytest.raises(ValueError, match="RK101"):
        register_check("RK101", "again", Aspect.VALUES)(lambda episodes: ())


def test_only_knows_the_numbers_that_there_are(dataset):
    with pytest.raises(WrongUseError, match="RK1"):
        check_dataset(dataset, only=["RK1"])


def test_the_page_of_findings_lists_each_of_them():
    page = (Path(__file__).parents[2] / "reachy_kit/dataset/README.md").read_text()
    rows = re.findall(r"^\| (RK\d+) \| ([^|]+) \| (error|warning|note) \|", page, re.MULTILINE)
    checks = sorted(all_checks(), key=lambda check: check.number)
    assert [(number, title) for number, title, _ in rows] == [(check.number, check.title) for check in checks]
    assert {number for number, _, most in rows if most == "error"} >= {
        check.number for check in checks if check.refuses
    }
