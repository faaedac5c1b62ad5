"""Names and schema versions of a run's files. Imports nothing heavy, so that light code can ask what a folder is.

::

    runs/look_at/
        pretrained_model/     config.json, model.safetensors, LeRobot's processors, card.json and README.md once more
        card.json  README.md  task, method, rates, features, dataset and its hash, seed, versions, result
        examples.safetensors  a few observations, by which an exported graph is compared with torch
        curve.csv  curve.png
        start/                the pretrained_model of the run that it was improved from
        checkpoints/          earlier weights, a run each, named by their iteration
        training/             while it is unfinished: last.safetensors, best.safetensors, checkpoints/

``pretrained_model`` alone, wherever it was copied, is a run too: without examples it cannot be exported.
"""

from pathlib import Path

from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.recording.layout import LEROBOT_INFO
from reachy_kit.runtime.shell_command import compose_command

MODEL, WEIGHTS, CONFIG = "pretrained_model", "model.safetensors", "config.json"
CARD, README, EXAMPLES = "card.json", "README.md", "examples.safetensors"
CURVE_CSV, CURVE_PNG = "curve.csv", "curve.png"
START = "start"
CHECKPOINTS = "checkpoints"
TRAINING = "training"
LAST, BEST = "last.safetensors", "best.safetensors"
CARD_SCHEMA = 2
CHECKPOINT_SCHEMA = 2


def is_run(path: Path) -> bool:
    """Whether a folder is a finished run, or the ``pretrained_model`` of one."""
    return (path / CARD).is_file()


def model_folder(run: Path) -> Path:
    """Folder of a run's weights and LeRobot's files: ``pretrained_model``, or the folder itself if it is one."""
    return run if (run / CONFIG).is_file() else run / MODEL


def is_unfinished(path: Path) -> bool:
    """Whether a folder holds a training that can be resumed."""
    return (path / TRAINING / LAST).is_file()


def run_folders(path: Path) -> list[Path]:
    """The folder itself if it is a run, else its runs ``seed-0``, ``seed-1`` …, one for each training seed."""
    return [path] if is_run(path) else numbered_runs(path, "seed-*")


def numbered_runs(path: Path, pattern: str) -> list[Path]:
    """The runs in a folder whose names fit a pattern, in the order of their numbers: 5 before 10."""
    runs = [card.parent for card in path.glob(f"{pattern}/{CARD}")]
    return sorted(runs, key=lambda folder: (len(folder.name), folder.name))


def training_command(path: Path, seeds: int | None = None) -> str:
    """Compose the command that trains a run into a folder, or beside it if something else is there.

    Args:
        path: the folder; or a dataset, which is trained on.
        seeds: number of runs for a group; None for a single run.
    """
    if (path / LEROBOT_INFO).is_file():
        out = free_path(Path("runs", path.resolve().name))
        return compose_command("train imitation", dataset=path, seeds=seeds, out=out)
    out = path if is_unfinished(path) else free_path(path)
    return compose_command("train imitation", dataset="DATASET", seeds=seeds, out=out)
