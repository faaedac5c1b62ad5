"""Values that are not numbers: NaN or infinite."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.finding import Aspect, Finding, register_check
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.layout import record_command


@register_check(Aspect.VALUES)
def check_not_numbers(dataset: StoredDataset) -> Iterator[Finding]:
    """Find NaN and infinity in what a policy learns from."""
    for key, names in dataset.vectors.items():
        for entry in dataset.episodes:
            values = dataset.read(entry.table)[entry.index][key]
            if not np.isfinite(values).all():
                frame, number = np.argwhere(~np.isfinite(values))[0]
                yield (
                    f"{dataset.root}: {key} of frame {frame} of episode {entry.index} is not a number "
                    f"({names[number]}). Record it again: {record_command(dataset.root, dataset.layout)}"
                )
                break
