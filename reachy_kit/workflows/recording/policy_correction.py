"""A bundle that drives a robot while a person watches, takes over, and hands back; the corrections are recorded.

Try it: reachy-kit run track.bundle --robot sim --teleop keyboard --out data/corrections
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.recording_folder import check_recordable
from reachy_kit.runtime.durable_files import check_folder
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import infer_beside
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import image_size, load_policy
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.recording.schema import INTERVENTION
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, SessionScreen
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.recording.person_recording import record_by_hand
from reachy_kit.workflows.recording.recording_plan import RecordingPlan


@dataclass(frozen=True)
class Corrections:
    """A dataset of a policy's episodes, each of which a person corrected."""

    dataset: Path
    episodes: int
    """Number of episodes in the dataset."""
    frames: int
    """Number of frames in which the person drove."""


def correct_bundle(
    bundle: Path,
    out: Path,
    *,
    teleop: str,
    robot: str = "sim",
    task: str = "",
    episodes: int = 1,
    seconds: float | None = None,
    perception: str = "auto",
    target: str = BALL,
    seed: int = 0,
    operator: str = "",
    screen: SessionScreen = NO_SCREEN,
    reporter: Reporter = SILENT,
) -> Corrections:
    """Let a bundle drive takes that a person starts, corrects and ends.

    Args:
        bundle: file or unpacked folder.
        out: folder of the dataset; an existing one is continued.
        teleop: the person's device, ``NAME`` or ``NAME:ARGUMENT``.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        task: file of the bundle's task, if it is in one.
        episodes: number that the dataset holds in the end.
        seconds: length of a take; None = until the person stops it.
        perception: ``auto``, ``geometry`` or ``detector``.
        target: what is looked at, as ``--target`` gives it.
        seed: of the episodes.
        operator: pseudonym of the person.
        screen: shows the session.
        reporter: shows notes.

    Returns:
        The dataset.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        RefusedError: the bundle is damaged, or the folder holds a dataset of another layout.
        NoRobotError: no robot answers.
        KitError: the disk is full or cannot be written; the episodes that were saved are kept.
    """
    from reachy_sim.tasks import variant_by_name

    opened = read_bundle(bundle)
    manifest = opened.manifest
    variant = variant_by_name(task or manifest.task, "training")
    if variant.task.name != manifest.task:
        raise WrongUseError(f"the bundle was made for {manifest.task}, not for {variant.task.name}")
    check_recordable(out)
    check_folder(out)
    hz = manifest.graphs[0].hz
    with contextlib.ExitStack() as when_at_rest:
        plan = RecordingPlan(
            out, variant, robot, teleop, episodes, perception, target, camera=image_size(opened) is not None, hz=hz,
            seed=seed, seconds=seconds, operator=operator,
        )  # fmt: skip
        stored = record_by_hand(
            plan,
            policy=lambda names: infer_beside(load_policy(opened, names), hz, when_at_rest),
            screen=screen,
            reporter=reporter,
        )
    if not stored:
        return Corrections(out, 0, 0)
    return Corrections(out, stored, int(np.count_nonzero(open_for_reading(out).column(INTERVENTION))))
