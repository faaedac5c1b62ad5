"""Measurements of the care of datasets: the check of a thousand episodes with video."""

import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT = 60.0
"""Longest time of a check of a thousand episodes, s."""
RECORDED, COPIES = 10, 100
"""Episodes that are recorded, and copies of each with other motions: to record a thousand takes minutes."""
FRAMES, FPS = 150, 25
"""Episodes of six seconds, those of track."""


def thousand_episodes() -> tuple[str, float, str, float]:
    """The check of a thousand episodes of state and video, and the page about them."""
    from reachy_kit.workflows.datasets.dataset_check import check_dataset

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        write_episodes(root)
        start = time.perf_counter()
        report = check_dataset(root, html=Path(folder, "check.html"))
        seconds = time.perf_counter() - start
    assert len(report.dataset.episodes) == RECORDED * COPIES
    assert not report.findings, report.findings
    return f"dataset check, {RECORDED * COPIES:,} episodes with video", seconds, "the limit", LIMIT


def write_episodes(root: Path) -> None:
    """Write a dataset with many files of tables and videos."""
    from reachy_kit.dataset.lerobot_writer import LeRobotWriter
    from reachy_kit.dataset.saving.column_statistics import write_statistics
    from reachy_kit.dataset.stored_dataset import StoredDataset
    from reachy_kit.runtime.perception.features import units_of
    from reachy_kit.runtime.perception.target import TARGET_FEATURES
    from reachy_kit.runtime.recording.labels import EpisodeLabels
    from reachy_kit.runtime.recording.layout import DatasetLayout
    from reachy_kit.runtime.recording.redo_log import close_staging, open_staging, staged_change

    units = units_of(TARGET_FEATURES)
    layout = DatasetLayout("track", "Look.", TARGET_FEATURES, units, FPS, (180, 320, 3))
    with LeRobotWriter(root, layout) as writer:
        for episode in range(RECORDED):
            writer.write(_frames(layout, episode), EpisodeLabels("Look."))
    (table,) = root.glob("data/*/*.parquet")
    (rows,) = root.glob("meta/episodes/*/*.parquet")
    (video,) = root.glob("videos/*/*/*.mp4")
    for copy in range(1, COPIES):
        name = f"file-{copy:03d}"
        shutil.copyfile(video, video.with_name(f"{name}.mp4"))
        _copy_table(table, copy)
        _copy_rows(rows, copy)
    info = json.loads((root / "meta/info.json").read_text())
    info |= {"total_episodes": RECORDED * COPIES, "total_frames": RECORDED * COPIES * FRAMES}
    (root / "meta/info.json").write_text(json.dumps(info))
    open_staging(root)
    with staged_change(root) as change:
        write_statistics(change, StoredDataset(root))
        change.commit()
    close_staging(root)


def _copy_table(path: Path, copy: int) -> None:
    """Copy a table of frames, as other episodes with larger or smaller motions."""
    import pyarrow.parquet as pq

    from reachy_kit.runtime.recording.schema import ACTION, OBS_LAST_ACTION, OBS_STATE, REQUESTED_ACTION, SEED

    table = pq.read_table(path)
    sizes = np.random.default_rng(copy).uniform(0.5, 1.2, size=(RECORDED, 1, 9)).repeat(FRAMES, 1).reshape(-1, 9)
    for key in (OBS_STATE, OBS_LAST_ACTION, ACTION, REQUESTED_ACTION):
        table = _with(table, key, (np.array(table[key].to_pylist()) * sizes).tolist())
    for key, step in (("episode_index", RECORDED), ("index", RECORDED * FRAMES), (SEED, RECORDED)):
        table = _with(table, key, (table[key].to_numpy() + copy * step).tolist())
    pq.write_table(table, path.with_name(f"file-{copy:03d}.parquet"))


def _copy_rows(path: Path, copy: int) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(path)
    for key in rows.schema.names:
        if key == "episode_index":
            rows = _with(rows, key, (rows[key].to_numpy() + copy * RECORDED).tolist())
        elif key.endswith("/file_index") and not key.startswith("stats/"):
            rows = _with(rows, key, [copy] * RECORDED)
        elif key.startswith("dataset_"):
            rows = _with(rows, key, (rows[key].to_numpy() + copy * RECORDED * FRAMES).tolist())
    pq.write_table(rows, path.with_name(f"file-{copy:03d}.parquet"))


def _with(table, key: str, values: list):
    import pyarrow as pa

    column = table.schema.field(key)
    return table.set_column(table.schema.get_field_index(key), column, pa.array(values, type=column.type))


def _frames(layout, episode: int) -> list[dict[str, np.ndarray]]:
    """Smooth motions that the state follows two frames later; a ball crosses a room of soft colours."""
    from reachy_kit.runtime.interface import NEUTRAL, Observation, Step, Truth
    from reachy_kit.runtime.recording.labels import EpisodeLabels, label_frames
    from reachy_kit.runtime.recording.schema import frame

    rng = np.random.default_rng(episode)
    phases, speeds = rng.uniform(0, 6, 9), rng.uniform(1, 3, 9)
    sizes = np.array([0.005] * 3 + [0.1, 0.2, 0.4, 0.3, 0.3, 0.3])
    actions = [NEUTRAL + sizes * np.sin(phases + speeds * index / FPS) for index in range(-3, FRAMES)]
    height, width, _ = layout.image_shape
    rows, columns = np.mgrid[:height, :width]
    room = np.stack([rows % 256, columns % 256, (rows + columns) // 2 % 256], axis=-1).astype(np.uint8)
    frames = []
    for index in range(FRAMES):
        image, time_ = room.copy(), index / FPS
        image[np.hypot(rows - height / 2, columns - 20 - 2 * index) < 15] = (200, 40, 30)
        observation = Observation(
            actions[index + 1],
            time_,
            environment_state=np.array([0.1, 0.1, 0.05, 1.0, 0.0]),
            last_action=actions[index + 2],
            images={"head": image},
            image_times={"head": time_},
        )
        action, truth = actions[index + 3], Truth(np.zeros(3), 0.0, 1.0, True)
        step = Step(index, observation, action, truth, observation, action)
        frames.append(frame(step, 1_000_000 + episode, start=0.0, image=True))
    label_frames(frames, EpisodeLabels("Look."), world=True)
    return frames
