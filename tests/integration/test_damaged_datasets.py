"""Damaged and implausible datasets: the message names the file, its episodes and a remedy, without network or cache.

One process, in which nothing can connect and in which the home cannot be written, tries them all.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_STATE

STATE, PIXELS, ACT = {}, {"obs_type": "pixels"}, {"policy": "act"}
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"


def table(root: Path) -> Path:
    return sorted(root.glob("data/*/*.parquet"))[-1]


def episodes(root: Path) -> Path:
    return sorted(root.glob("meta/episodes/*/*.parquet"))[-1]


def video(root: Path) -> Path:
    return sorted(root.glob("videos/**/*.mp4"))[-1]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite_table(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def without_last_rows(root: Path) -> None:
    rewrite_table(table(root), lambda rows: rows.slice(0, len(rows) - 3))


def without_actions(root: Path) -> None:
    rewrite_table(table(root), lambda rows: rows.drop_columns([ACTION]))


def with_one_action(root: Path) -> None:
    def change(rows: pa.Table) -> pa.Table:
        return rows.set_column(rows.schema.get_field_index(ACTION), ACTION, pa.array([[1.0]] * len(rows)))

    rewrite_table(table(root), change)


def scale(root: Path, factors: dict[str, list[float]]) -> None:
    """Multiply the numbers of columns in all tables."""
    for path in root.glob("data/*/*.parquet"):
        rows = pq.read_table(path)
        for key, factor in factors.items():
            kind = rows.schema.field(key)
            values = np.stack(rows[key].to_numpy()) * factor
            rows = rows.set_column(rows.schema.get_field_index(key), kind, pa.array(values.tolist(), type=kind.type))
        pq.write_table(rows, path)


def shorten(path: Path, frames: int, *, header_first: bool = False) -> None:
    """Copy the first frames of a video; with its header first, its end can be cut off without a trace in it."""
    short = path.with_name("short.mp4")
    options = {"movflags": "faststart"} if header_first else {}
    with av.open(str(path)) as source, av.open(str(short), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(source.streams.video[0]))[:frames]:
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    short.replace(path)


def cut_before_header(root: Path) -> None:
    shorten(video(root), 1000)
    truncate(video(root))


def cut_after_header(root: Path) -> None:
    shorten(video(root), 1000, header_first=True)
    truncate(video(root))


def change_info(root: Path, **changes: object) -> None:
    (root / INFO).write_text(json.dumps(json.loads((root / INFO).read_text()) | changes))


DEGREES = [1.0] * 3 + [180 / np.pi] * 6
MILLIMETRES = [1000.0] * 3 + [1.0] * 6

DAMAGES: dict[str, tuple[dict[str, str], Callable[[Path], object], str]] = {
    "no-table": (
        STATE,
        lambda root: table(root).unlink(),
        "{table} is missing; it holds … Copy the",
    ),
    "no-tables": (
        STATE,
        lambda root: shutil.rmtree(root / "data"),
        " is missing; it holds … Copy the",
    ),
    "empty-table": (
        STATE,
        lambda root: table(root).write_bytes(b""),
        "{table} is damaged; it holds … Copy the",
    ),
    "cut-table": (STATE, lambda root: truncate(table(root)), "{table} is damaged; it holds … Copy the"),
    "short-table": (STATE, without_last_rows, "{table} has … of the 88 frames of episode 7; … Copy the"),
    "no-actions": (STATE, without_actions, "{table} lacks the column action; it holds … Copy the"),
    "few-actions": (
        STATE,
        with_one_action,
        "{table} does not hold 9 numbers of action per frame; … Copy the",
    ),
    "no-tasks": (STATE, lambda root: (root / TASKS).unlink(), "meta/tasks.parquet is missing. Copy the file again"),
    "cut-tasks": (STATE, lambda root: truncate(root / TASKS), "meta/tasks.parquet is damaged. Copy the file again"),
    "no-info": (STATE, lambda root: (root / INFO).unlink(), "meta/info.json is missing. Copy the file again"),
    "cut-info": (STATE, lambda root: truncate(root / INFO), "meta/info.json is damaged. Copy the file again"),
    "empty-info": (STATE, lambda root: (root / INFO).write_text("{}"), "info.json is damaged (… Copy the"),
    "no-rate": (STATE, lambda root: change_info(root, fps=0), "info.json is damaged (no sensible fps). Copy the"),
    "no-path": (STATE, lambda root: change_info(root, data_path="{x}"), "info.json is damaged (no sensible data_path"),
    "no-episodes": (
        STATE,
        lambda root: episodes(root).unlink(),
        "meta/episodes lacks the file that lists ep… Copy",
    ),
    "cut-episodes": (STATE, lambda root: truncate(episodes(root)), "{episodes} is damaged; it holds … Copy the"),
    "old-format": (
        STATE,
        lambda root: change_info(root, codebase_version="v2.1"),
        "in LeRobot's format v2.1; this kit reads v3.x. Convert it into another folder: … dataset convert",
    ),
    "no-statistics": (
        ACT,
        lambda root: (root / STATS).unlink(),
        "meta/stats.json is missing. Compute them again: ",
    ),
    "cut-statistics": (
        ACT,
        lambda root: truncate(root / STATS),
        "meta/stats.json is damaged. Compute them again: ",
    ),
    "no-video": (PIXELS, lambda root: video(root).unlink(), "{video} is missing; it holds … Copy the"),
    "no-video-for-act": (ACT | PIXELS, lambda root: video(root).unlink(), "{video} is missing; it holds … Copy the"),
    "empty-video": (
        PIXELS,
        lambda root: video(root).write_bytes(b""),
        "{video} is damaged; it holds … Copy the",
    ),
    "text-as-video": (
        PIXELS,
        lambda root: video(root).write_text("film"),
        "{video} is damaged; it holds … Copy the",
    ),
    "cut-before-header": (PIXELS, cut_before_header, "{video} is damaged; it holds … Copy the"),
    "cut-after-header": (PIXELS, cut_after_header, "{video} has … frames; it holds … Copy the"),
    "short-video": (PIXELS, lambda root: shorten(video(root), 20), "{video} has 20 of its … frames; it holds episode"),
    "degrees": (
        STATE,
        lambda root: scale(root, {OBS_STATE: DEGREES, ACTION: DEGREES}),
        "observation.state has head_pitch.pos from -… outside -1.571 to 1.571 rad. That looks like degrees",
    ),
    "millimetres": (
        STATE,
        lambda root: scale(root, {OBS_STATE: MILLIMETRES}),
        "observation.state has head_x.pos from -… outside -0.125 to 0.125 m. That looks like millimetres",
    ),
    "feature-in-degrees": (
        STATE,
        lambda root: scale(root, {OBS_ENV_STATE: [180 / np.pi, 1.0, 1.0, 1.0, 1.0]}),
        "observation.environment_state has target_right from -… looks like degrees",
    ),
}
"""Name → settings of the training, damage, and what the message must say; … stands for anything."""

TRY_THEM_ALL = """
import json, os, socket, sys
from pathlib import Path

def refuse(*arguments):
    raise AssertionError("the network was asked for something")

socket.socket.connect = socket.getaddrinfo = refuse
from reachy_kit.cli.user_account import complete_user_account
from reachy_kit.runtime.errors import KitError
from reachy_kit.workflows.training.train_imitation import train_imitation

complete_user_account()
results = {}
for name, root, given in json.loads(sys.argv[1]):
    try:
        settings = {"max_steps": 10, "eval_every": 10, **given}
        policy = settings.pop("policy", "chunk")
        train_imitation(Path(root), Path(root).with_name(name + "-run"), policy=policy, settings=settings)
        results[name] = [0, ""]
    except KitError as error:
        results[name] = [error.exit_code, str(error)]
    except BaseException as error:
        results[name] = [-1, f"{type(error).__name__}: {error}"]
Path(sys.argv[2]).write_text(json.dumps(results))
"""


@dataclass(frozen=True)
class Case:
    """A copy of a dataset to train on."""

    root: Path
    settings: dict[str, str]
    message: str = ""


@pytest.fixture(scope="module")
def cases(tmp_path_factory, recorded_dataset, image_dataset) -> dict[str, Case]:
    """Damaged copies, and two that can be trained on: a sound one, and one whose videos are gone."""
    folder = tmp_path_factory.mktemp("damaged")
    cases = {}
    for name, (settings, damage, message) in DAMAGES.items():
        root = shutil.copytree(recorded_dataset if settings is STATE else image_dataset, folder / name)
        places = {"table": table(root), "episodes": episodes(root), "video": "" if settings is STATE else video(root)}
        cases[name] = Case(root, settings, message.format(**places))
        damage(root)
    cases["sound"] = Case(shutil.copytree(image_dataset, folder / "sound"), PIXELS)
    cases["state-without-videos"] = Case(shutil.copytree(image_dataset, folder / "state"), STATE)
    shutil.rmtree(cases["state-without-videos"].root / "videos")
    return cases


@pytest.fixture(scope="module")
def damage_results(cases, tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Exit code and message of a training on each, by a user without an account and a home."""
    caches = tmp_path_factory.mktemp("caches")
    names = {"HF_HOME": "hf", "HF_DATASETS_CACHE": "datasets", "XDG_CACHE_HOME": "xdg"}
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {name: str(caches / folder) for name, folder in names.items()} | {"HOME": "/proc"}
    listed = json.dumps([(name, str(case.root), case.settings) for name, case in cases.items()])
    answer = tmp_path_factory.mktemp("results") / "results.json"
    bare = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
    command = [*bare, sys.executable, "-c", TRY_THEM_ALL, listed, answer]
    subprocess.run(command, env=environment, check=True, timeout=240)
    results = json.loads(answer.read_text())
    results["caches"] = sorted(str(path.relative_to(caches)) for path in caches.rglob("*") if path.is_file())
    return results


@pytest.mark.parametrize("name", DAMAGES)
def test_the_message_names_the_file_the_episode_and_a_remedy(name, cases, damage_results):
    code, message = damage_results[name]
    assert code == 4, message
    assert re.search(".*".join(map(re.escape, cases[name].message.split("…"))), message), message
    assert len(message.replace(str(cases[name].root.parent), "")) < 320, message
    for wrong in ("network", "HF_HUB", "offline", "convert_dataset", "huggingface", "tensor("):
        assert wrong not in message


@pytest.mark.parametrize("name", ["state-without-videos", "sound"])
def test_what_a_training_does_not_need_may_be_missing(name, damage_results):
    assert damage_results[name] == [0, ""]


def test_reading_leaves_nothing_in_a_cache(damage_results):
    assert [path for path in damage_results["caches"] if path.endswith((".arrow", ".lock"))] == []
    assert [path for path in damage_results["caches"] if path.startswith("datasets")] == []


@pytest.mark.parametrize("name", ["no-table", "cut-after-header", "degrees"])
def test_a_command_ends_with_that_message(name, kit, cases):
    case = cases[name]
    settings = [argument for key, value in case.settings.items() for argument in ("--set", f'{key}="{value}"')]
    result = kit.run("train", "imitation", "--dataset", case.root, "--out", "run", *settings)
    result.says(4, *case.message.split("…"))
    assert not (kit.folder / "run").exists()


def test_recording_into_a_damaged_dataset_changes_nothing(kit, recorded_dataset):
    data = shutil.copytree(recorded_dataset, kit.folder / "data")
    truncate(table(data))
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    kit.run("record", "--episodes", 9, "--out", data).says(4, "is damaged; it holds episode", "Copy the file again")
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_recording_into_a_folder_that_only_a_desktop_has_written_to(kit):
    (kit.folder / "data").mkdir()
    (kit.folder / "data/.DS_Store").write_bytes(b"\0")
    assert kit.run("record", "--episodes", 1, "--hz", 10, "--out", "data").code == 0
    assert json.loads((kit.folder / "data" / INFO).read_text())["total_episodes"] == 1
