"""A dataset in LeRobot's format v2.1, made of one in v3."""

import json

import pyarrow.parquet as pq

from reachy_kit.dataset.stored_dataset import StoredDataset


def write_v21(root, source):
    """Write the tables of a dataset without videos as LeRobot did before v3: a file for each episode."""
    stored = StoredDataset(source)
    info = json.loads((source / "meta/info.json").read_text())
    info |= {
        "codebase_version": "v2.1",
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": None,
        "total_chunks": 1,
        "total_videos": 0,
    }
    (root / "meta").mkdir(parents=True)
    (root / "data/chunk-000").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    words = sorted({entry.instruction for entry in stored.episodes})
    lines = {"tasks": [{"task_index": index, "task": task} for index, task in enumerate(words)]}
    lines["episodes"] = [
        {"episode_index": entry.index, "tasks": [entry.instruction], "length": entry.length}
        for entry in stored.episodes
    ]
    stats = json.loads((source / "meta/stats.json").read_text())
    lines["episodes_stats"] = [{"episode_index": entry.index, "stats": stats} for entry in stored.episodes]
    for name, rows in lines.items():
        (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for entry in stored.episodes:
        table = pq.read_table(source / entry.table, filters=[("episode_index", "==", entry.index)])
        pq.write_table(table, root / f"data/chunk-000/episode_{entry.index:06d}.parquet")
    return root
