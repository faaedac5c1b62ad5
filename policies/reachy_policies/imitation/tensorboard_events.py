"""A training's curve as TensorBoard events, on this computer alone.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at --track
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reachy_policies.imitation.supervised import OnProgress, Progress


@contextlib.contextmanager
def write_events(out: Path) -> Iterator[OnProgress]:
    """Write each evaluation to ``tensorboard/<name of the run>`` beside the run."""
    from torch.utils.tensorboard import SummaryWriter

    folder = out.parent / "tensorboard" / out.name
    with SummaryWriter(str(folder), purge_step=0) as writer:  # a training that is resumed repeats its evaluations

        def on_progress(progress: Progress) -> None:
            for name in ("train_loss", "held_out_loss", "held_out_position_error", "held_out_angle_error"):
                writer.add_scalar(name, getattr(progress, name), progress.step)

        yield on_progress
