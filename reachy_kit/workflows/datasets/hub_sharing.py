"""Sharing on the Hugging Face Hub: private unless it is said otherwise, with a card; and fetching from there.

Try it: reachy-kit dataset push data/look_at NAME/look_at
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachy_kit.dataset.care.folder_swap import written_elsewhere
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.recording_folder import not_recorded
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.recording.redo_log import STAGING
from reachy_kit.runtime.recording.schema import OPERATOR, ROBOT_TYPE
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

CARD = "README.md"
_VERSION_TAG = "v3.0"
"""Git tag by which LeRobot finds a dataset's format. Source: ``LeRobotDataset.push_to_hub`` of LeRobot 0.6.1."""
_REPLACED = ["data/**", "meta/**", "videos/**", "images/**"]
"""Files on the Hub that an upload removes where the dataset does not have them any more."""
_NOT_SHARED = [f"{STAGING.name}/*", ".cache/*", ".git/*", "**/.DS_Store"]


@dataclass(frozen=True)
class SharedDataset:
    """A dataset on the Hub."""

    dataset: Path
    repository: str
    url: str


@dataclass(frozen=True)
class PushedDataset(SharedDataset):
    """A dataset after its upload."""

    private: bool
    """Whether only its owner can see it, as the Hub says."""


def push_dataset(
    root: Path,
    repository: str,
    *,
    public: bool = False,
    licence: str = "",
    hub: Any = None,
    reporter: Reporter = SILENT,
) -> PushedDataset:
    """Upload a dataset to the Hub, with a card where it has none. Files that it does not have any more are removed.

    The Hub's history keeps what was pushed before.

    Args:
        root: the dataset's folder.
        repository: NAME/DATASET; it is created if it is missing.
        public: whether everybody may see it; only a new repository gets it.
        licence: its licence, as the Hub names it; needed for a public one.
        hub: a ``HfApi``; None for the usual one with the usual token.
        reporter: shows that it works, and notes what personal data it holds.

    Raises:
        WrongUseError: the repository's name does not fit, or a public one has no licence.
        RefusedError: the dataset is damaged or recorded into, or the repository is public without ``public``.
        KitError: the Hub cannot be reached, or refuses.
    """
    _require_name(repository)
    if public and not licence:
        raise WrongUseError("a public dataset needs a licence. Give --license, such as cc-by-4.0")
    dataset = open_for_reading(root)
    for line in personal_data(dataset):
        reporter.note(f"note: {line}")
    with _explained(repository), not_recorded(root):
        hub = hub or _hub()
        with reporter.working(f"uploading to {repository}"):
            url = hub.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
            private = bool(hub.repo_info(repository, repo_type="dataset").private)
            if not private and not public:
                raise RefusedError(
                    f"{repository} is public on the Hub. Make it private in its settings there, or give --public"
                )
            if not (root / CARD).exists():
                card = dataset_card(dataset, licence).encode()
                hub.upload_file(path_or_fileobj=card, path_in_repo=CARD, repo_id=repository, repo_type="dataset")
            hub.upload_folder(
                folder_path=root,
                repo_id=repository,
                repo_type="dataset",
                ignore_patterns=_NOT_SHARED,
                delete_patterns=_REPLACED,
            )
            pushed_before = _move_tag(hub, repository)
    if pushed_before:
        reporter.note(
            f"note: the Hub's history of {repository} keeps what was pushed before, forgotten people too. "
            "To remove it, call HfApi.super_squash_history of huggingface_hub, then push again"
        )
    return PushedDataset(root, repository, str(url), private)


def pull_dataset(repository: str, out: Path, *, hub: Any = None, reporter: Reporter = SILENT) -> SharedDataset:
    """Download a dataset from the Hub into a new folder.

    Args:
        repository: NAME/DATASET.
        out: folder of the dataset; nothing is there yet.
        hub: a ``HfApi``; None for the usual one with the usual token.
        reporter: shows that it works.

    Raises:
        WrongUseError: the repository's name does not fit, it does not exist, or something is in the place of ``out``.
        RefusedError: it is not a dataset of this robot, or damaged.
        KitError: the Hub cannot be reached, or refuses.
    """
    _require_name(repository)
    with written_elsewhere(out, []) as making:
        with _explained(repository), reporter.working(f"downloading {repository}"):
            hub = hub or _hub()
            hub.snapshot_download(repository, repo_type="dataset", local_dir=making)
        open_for_reading(making)
    return SharedDataset(out, repository, f"https://huggingface.co/datasets/{repository}")


def personal_data(dataset: StoredDataset) -> list[str]:
    """What a dataset tells about people, a line each."""
    lines = []
    if dataset.columns.cameras:
        lines.append(f"it holds images of {', '.join(dataset.columns.cameras)}: people before it can be seen")
    if dataset.layout.audio_samples:
        lines.append("it holds raw sound: people can be heard")
    if dataset.has_column(OPERATOR) and (people := sorted(set(dataset.column(OPERATOR).tolist()) - {""})):
        lines.append(f"it names the operators {', '.join(people)}; dataset forget removes them")
    return lines


def dataset_card(dataset: StoredDataset, licence: str = "") -> str:
    """Card of a dataset, with the metadata that the Hub reads."""
    layout, index = dataset.layout, dataset.index
    frames = sum(entry.length for entry in dataset.episodes)
    metadata = {
        "license": licence,
        "task_categories": ["robotics"],
        "tags": ["LeRobot", ROBOT_TYPE, "reachy_kit"],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    words = dict.fromkeys(entry.instruction for entry in dataset.episodes if entry.instruction)
    rows = {
        "robot": ROBOT_TYPE,
        "task": layout.task,
        "words": "; ".join(words),
        "episodes": f"{len(dataset.episodes)}, {frames} frames, {frames / index.fps:.0f} s at {index.fps} Hz",
        "features": ", ".join(
            f"{name} ({unit})"
            for name, unit in zip(layout.environment_state, layout.environment_state_units, strict=True)
        ),
        "cameras": ", ".join(dataset.columns.cameras),
        **layout.provenance,
    }
    front = "".join(f"{name}: {json.dumps(value)}\n" for name, value in metadata.items() if value)
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    return (
        f"---\n{front}---\n\n# {dataset.root.resolve().name}\n\n"
        "Demonstrations on a Reachy Mini in LeRobot's format v3: state and action are nine numbers, the head's "
        "position in m and angles in rad, then body and antennas; `meta/info.json` names them in order.\n\n"
        f"| | |\n|---|---|\n{table}\n"
    )


def _move_tag(hub: Any, repository: str) -> bool:
    """Let the tag by which LeRobot's readers find a dataset mean the newest commit; whether there was one before."""
    from huggingface_hub.errors import RevisionNotFoundError

    pushed_before = False
    with contextlib.suppress(RevisionNotFoundError):
        hub.delete_tag(repository, tag=_VERSION_TAG, repo_type="dataset")
        pushed_before = True
    hub.create_tag(repository, tag=_VERSION_TAG, repo_type="dataset")
    return pushed_before


def _require_name(repository: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise WrongUseError(f"{repository!r} is not a name on the Hub. Give NAME/DATASET") from error
    if "/" not in repository:
        raise WrongUseError(f"{repository} lacks the owner. Give NAME/{repository}")


def _hub() -> Any:
    from huggingface_hub import HfApi

    return HfApi()


@contextlib.contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn what the Hub's client raises into one line."""
    import httpx
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        yield
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, httpx.TransportError, ConnectionError) as error:
        offline = "HF_HUB_OFFLINE is set. Unset it" if os.environ.get("HF_HUB_OFFLINE") else "look at the network"
        raise KitError(f"the Hub cannot be reached for {repository}: {offline}, then try again") from error
    except LocalTokenNotFoundError as error:
        raise RefusedError("the Hub wants to know who you are. Log in: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise WrongUseError(
            f"the Hub has no dataset {repository}, or you may not see it. Log in: hf auth login"
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403):
            raise RefusedError(f"the Hub does not let you into {repository}. Log in: hf auth login") from error
        raise KitError(f"the Hub answered {status or 'nothing'} for {repository}. Try again later") from error
