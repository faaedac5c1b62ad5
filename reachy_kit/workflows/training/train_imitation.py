"""Imitation: a policy is fitted to a recorded dataset.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.dataset.dataset_layout import require_task
from reachy_kit.dataset.reading import open_for_training
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_kit.workflows.inputs.build_config import build_config, refuse_rest
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from reachy_policies.data.demonstrations import Demonstrations
    from reachy_policies.imitation.supervised import OnProgress, Progress, SupervisedConfig, TrainResult
    from reachy_policies.runs.saved_run import Run


def train_imitation(
    dataset: Path | Sequence[Path],
    out: Path,
    *,
    task: str = "",
    camera: str = "",
    policy: str = "chunk",
    seed: int = 0,
    fresh: bool = False,
    track: bool = False,
    settings: dict[str, Any] | None = None,
    on_progress: "OnProgress | None" = None,
    reporter: Reporter = SILENT,
) -> "Run":
    """Fit a policy until held-out episodes no longer improve, and save it as a run.

    An interrupted training is resumed by the same call.

    Args:
        dataset: folder of a LeRobot v3 dataset of this robot, recorded by this kit or not; or several, whose episodes
            are put one after the other.
        out: folder of the run; a finished one is replaced once the new one is complete.
        task: name or file of the task that it shows; empty for the one that it names.
        camera: name of the head's camera in it; empty for the one called so, or the only one.
        policy: ``chunk``, or the name of a policy of LeRobot's.
        seed: of the split, the weights and the batches.
        fresh: start over, and discard an unfinished training in ``out``.
        track: write TensorBoard's events into the folder tensorboard beside ``out``.
        settings: of the training and of the policy, by name; either takes those that it knows.
        on_progress: called after each evaluation on the held-out episodes.
        reporter: shows the progress.

    Returns:
        The run.

    Raises:
        WrongUseError: the dataset or the policy does not exist, or a setting does not fit.
        RefusedError: ``out`` holds something else, or an unfinished training of something else.
        KitError: training diverges, or the run cannot be written.
    """
    datasets = [dataset] if isinstance(dataset, Path) else list(dataset)
    task = task_spec(task).name if task else ""
    for root in datasets:
        require_task(
            root, open_for_training(root, camera).layout, task
        )  # what is wrong with it is noticed before LeRobot is loaded
    with reporter.working("loading torch and LeRobot"):
        from reachy_policies.data.demonstrations import load_demonstrations
        from reachy_policies.imitation.imitation_run import save_imitation
        from reachy_policies.imitation.tensorboard_events import write_events
        from reachy_policies.runs.run_folder import prepare_run_folder
    prepare_run_folder(out, fresh=fresh, note=reporter.note)
    with contextlib.ExitStack() as stack:
        tracked = stack.enter_context(write_events(out)) if track else None
        demonstrations = load_demonstrations(*datasets, task=task, camera=camera)
        fit = _Fit(demonstrations, out, seed, dict(settings or {}), (on_progress, tracked), reporter)
        fitted, config, demonstrations = fit.chunk() if policy == "chunk" else fit.lerobot(policy)
    return save_imitation(out, fitted, demonstrations, config)


@dataclass(frozen=True)
class _Fit:
    """Arguments of a fit, the same for every kind of policy."""

    demonstrations: "Demonstrations"
    out: Path
    seed: int
    settings: dict[str, Any]
    """Settings by name; a configuration takes its own out."""
    on_progress: "tuple[OnProgress | None, ...]"
    reporter: Reporter

    def chunk(self) -> "tuple[TrainResult, SupervisedConfig, Demonstrations]":
        """Fit the chunk policy."""
        from reachy_policies.data.demonstrations import load_images, require_observed
        from reachy_policies.data.image_tensors import CHUNK_IMAGE_SHAPE
        from reachy_policies.imitation.behavior_cloning import PIXEL_DEFAULTS, ImitationConfig, fit
        from reachy_policies.models.chunk import ReachyChunkConfig

        settings = self.settings
        if settings.get("obs_type") == "pixels":
            settings = {**PIXEL_DEFAULTS, **settings}
        fit_config = build_config(settings, ImitationConfig, seed=self.seed)
        policy_config = build_config(settings, ReachyChunkConfig)
        refuse_rest(settings, ImitationConfig, ReachyChunkConfig)
        demonstrations = self.demonstrations
        require_observed(demonstrations)
        if fit_config.obs_type == "pixels":
            with self.reporter.working("reading the videos"):
                demonstrations = load_images(demonstrations, CHUNK_IMAGE_SHAPE[1:])
        with self._evaluations(fit_config) as on_progress:
            return fit(demonstrations, policy_config, fit_config, on_progress, self.out), fit_config, demonstrations

    def lerobot(self, kind: str) -> "tuple[TrainResult, SupervisedConfig, Demonstrations]":
        """Fit a policy of LeRobot's."""
        from reachy_policies.data.demonstrations import require_observed
        from reachy_policies.imitation.lerobot_training import LeRobotTrainConfig, fit_lerobot
        from reachy_policies.models.lerobot.lerobot_config import policy_config_class, read_policy_config

        options = policy_config_class(kind)
        fit_config = build_config(self.settings, LeRobotTrainConfig, seed=self.seed)
        policy_config = read_policy_config(kind, self.settings)
        refuse_rest(self.settings, LeRobotTrainConfig, options)
        if fit_config.obs_type != "pixels":
            require_observed(self.demonstrations)
        with self._evaluations(fit_config) as on_progress:
            fitted = fit_lerobot(
                self.demonstrations, policy_config, fit_config, on_progress, self.out, self.reporter.note
            )
        return fitted, fit_config, self.demonstrations

    @contextlib.contextmanager
    def _evaluations(self, config: "SupervisedConfig") -> "Iterator[OnProgress]":
        """A progress that advances with each evaluation on the held-out episodes."""
        with self.reporter.progress("training", total=config.max_steps // config.eval_every) as advance:

            def on_progress(progress: "Progress") -> None:
                advance()
                for listener in self.on_progress:
                    if listener is not None:
                        listener(progress)

            yield on_progress
