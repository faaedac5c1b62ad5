"""Datasets of this robot by other tools: what ``lerobot-record`` writes, with the numbers in another order."""

from pathlib import Path

import numpy as np

from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE

WORDS = "look at me"
HEIGHT, WIDTH = 36, 64


def write_foreign(
    root: Path,
    source: Path,
    *,
    fps: int = 25,
    names: tuple[str, ...] = tuple(reversed(ACTION_NAMES)),
    features: bool = True,
    last: bool = True,
    camera: str = "",
    episodes: int = 3,
    words: tuple[str, ...] = (WORDS,),
    extra: bool = False,
    videos: bool = True,
) -> Path:
    """The frames of a dataset of this kit as LeRobot's recorder stores those of a robot.

    Args:
        root: folder to write.
        source: a dataset of this kit.
        fps: frames per second that it claims.
        names: order of the numbers.
        features: whether the state also holds perception's features, as ``target_right.pos``.
        last: whether it holds the last action.
        camera: name of a camera, black but for a bar that moves one pixel per frame.
        episodes: number of episodes.
        words: of the tasks, by turns.
        videos: whether its images are stored as videos, or as single images.
        extra: whether there is a column, and a number of the action, of somebody else's.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    stored = StoredDataset(source)
    order = [ACTION_NAMES.index(name) for name in names]
    state_names = list(names)
    if features:
        state_names += [f"{name}.pos" for name in stored.layout.environment_state]
    if last:
        state_names += [f"last_{name}" for name in ACTION_NAMES]
    action_names = [*names, *(["gripper.pos"] if extra else [])]
    described = {
        OBS_STATE: {"dtype": "float32", "shape": (len(state_names),), "names": state_names},
        ACTION: {"dtype": "float32", "shape": (len(action_names),), "names": action_names},
    }
    if extra:
        described["weather"] = {"dtype": "float32", "shape": (1,), "names": None}
    if camera:
        shape = (HEIGHT, WIDTH, 3)
        key = f"observation.images.{camera}"
        described[key] = {
            "dtype": "video" if videos else "image",
            "shape": shape,
            "names": ["height", "width", "channels"],
        }
    dataset = LeRobotDataset.create(
        "local/foreign",
        fps,
        root=root,
        features=described,
        robot_type="reachy_mini",
        use_videos=bool(camera) and videos,
    )
    for entry in stored.episodes[:episodes]:
        columns = stored.read(entry.table)[entry.index]
        for step in range(entry.length):
            state = [columns[OBS_STATE][step][order]]
            state += [columns[OBS_ENV_STATE][step]] if features else []
            state += [columns[OBS_LAST_ACTION][step]] if last else []
            action = columns[ACTION][step][order]
            frame = {
                OBS_STATE: np.concatenate(state).astype(np.float32),
                ACTION: np.append(action, 1.0).astype(np.float32) if extra else action,
                "task": words[entry.index % len(words)],
            }
            if extra:
                frame["weather"] = np.ones(1, dtype=np.float32)
            if camera:
                image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
                image[:, : step % WIDTH] = 255
                frame[key] = image
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()
    return root
