"""Damage to a recorded dataset, and the finding that each must lead to."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reachy_kit.dataset.checks.finding import Severity
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    OBS_ENV_STATE,
    OBS_STATE,
    REQUESTED_ACTION,
    SEED,
    SUCCESS,
    SUCCESS_MARK,
)

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
