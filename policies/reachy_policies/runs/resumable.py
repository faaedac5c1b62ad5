"""Record of a training on disk, from which it is resumed exactly after a crash.

``training/last.safetensors`` is the state from which the same command resumes, ``training/best.safetensors`` the
weights that did best on held-out episodes.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from reachy_kit.runtime.errors import RefusedError
from reachy_policies.runs.checkpoint import State, copy_state, read_checkpoint, write_checkpoint
from reachy_policies.runs.run_files import BEST, LAST, TRAINING


class TrainingRecord[Point: Any]:
    """A training's evaluations, its best weights, and its checkpoints.

    Args:
        out: folder of the run; None to keep nothing on disk.
        identity: identity of this training, by the names of its settings; a checkpoint of another one is refused.
        point: dataclass of an evaluation.
        merit: merit of an evaluation; the best has the largest, the earliest among equals.
    """

    def __init__(
        self, out: Path | None, identity: Mapping[str, Any], point: type[Point], merit: Callable[[Point], Any]
    ) -> None:
        self._folder = None if out is None else out / TRAINING
        self._identity, self._point, self._merit = _as_json(identity), point, merit
        self.history: list[Point] = []
        """All evaluations, in order."""
        self.best_weights: Mapping[str, Tensor] = {}

    @property
    def best(self) -> Point:
        """Best evaluation."""
        return max(self.history, key=self._merit)

    @property
    def best_path(self) -> Path | None:
        """File of the best weights."""
        return None if self._folder is None else self._folder / BEST

    def resume(self, load: Callable[[State], None]) -> bool:
        """Resume an unfinished training of the same identity.

        Args:
            load: called with the saved state.

        Returns:
            Whether there was one.

        Raises:
            RefusedError: the folder holds another training, or a damaged checkpoint.
        """
        if self._folder is None or not (self._folder / LAST).is_file():
            return False
        stored = read_checkpoint(self._folder / LAST)
        self._require_same(stored.get("identity", {}))
        try:
            self.history = [self._point(**point) for point in stored["history"]]
            if self.history:
                self.best_weights = read_checkpoint(self._folder / BEST)["weights"]
            load(stored["state"])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise RefusedError(
                f"{self._folder} is of another version of this kit ({error}). Choose another --out, or --fresh to "
                "train again"
            ) from error
        return True

    def add(self, point: Point, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Add an evaluation, and keep the weights if it is the best so far.

        Args:
            point: the evaluation.
            weights: gives the weights that were evaluated.

        Raises:
            KitError: they cannot be written.
        """
        self.history.append(point)
        if self.best is point:
            self.best_weights = copy_state(weights())
            if self._folder is not None:
                write_checkpoint(self._folder / BEST, {"weights": self.best_weights})

    def save(self, state: State) -> None:
        """Write the checkpoint from which the same command resumes.

        Raises:
            KitError: it cannot be written.
        """
        if self._folder is not None:
            history = [asdict(point) for point in self.history]
            write_checkpoint(self._folder / LAST, {"identity": self._identity, "history": history, "state": state})

    def _require_same(self, other: Mapping[str, Any]) -> None:
        assert self._folder is not None
        changed = different_settings(self._identity, other)
        if changed:
            raise RefusedError(
                f"{self._folder.parent} holds an unfinished training with another {', '.join(changed)}. Give the same "
                "command again to finish it, choose another --out, or --fresh"
            )


def different_settings(identity: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of the settings in which two identities differ."""
    first, second = _as_json(identity), _as_json(other)
    return sorted(name for name in first | second if first.get(name) != second.get(name))


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no number is infinite or NaN."""
    return all(bool(value.isfinite().all()) for value in tensors)


def _as_json(value: Any) -> Any:
    """Value as JSON returns it."""
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _as_json(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
