"""Metadata of demonstrations as LeRobot's policies want it: columns and statistics."""

from typing import Any

import numpy as np
from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats

from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.reading import open_lerobot_metadata
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.schema import ACTION, IMAGE, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE
from reachy_policies.data.demonstrations import Demonstrations


def describe_to_lerobot(demonstrations: Demonstrations) -> Any:
    """LeRobot's metadata of demonstrations.

    Of a single dataset in this kit's order it is the dataset's own. Otherwise its columns and the statistics of the
    numbers are those of the demonstrations; the statistics of images are put together from those of the datasets.

    Raises:
        RefusedError: a file is missing or damaged.
    """
    metadata = open_lerobot_metadata(demonstrations.roots[0])
    datasets = [StoredDataset(root, demonstrations.camera) for root in demonstrations.roots]
    if demonstrations.as_recorded and _has_our_order(datasets[0], demonstrations):
        return metadata
    columns = {
        OBS_STATE: demonstrations.state,
        OBS_ENV_STATE: demonstrations.environment_state,
        OBS_LAST_ACTION: demonstrations.last_action,
        ACTION: demonstrations.action,
    }
    stats = {
        key: get_feature_stats(values.numpy(), axis=0, keepdims=False)
        for key, values in columns.items()
        if values.numel()
    }
    described = lerobot_features(demonstrations.layout)
    features = {key: described[key] for key in columns if key in stats}
    if demonstrations.layout.image_shape:
        features[IMAGE] = described[IMAGE]
        of_images = [
            {IMAGE: open_lerobot_metadata(dataset.root).stats[dataset.columns.camera]}
            for dataset in datasets
            if dataset.columns.camera is not None
        ]
        stats |= aggregate_stats([{IMAGE: _arrays(one[IMAGE])} for one in of_images])
    metadata.info.features, metadata.stats = features, stats
    return metadata


def _has_our_order(dataset: StoredDataset, demonstrations: Demonstrations) -> bool:
    """Whether the columns of a dataset are stored as this kit stores them."""
    of_robot = dataset.columns
    stored = {OBS_STATE: of_robot.state, ACTION: of_robot.action, OBS_ENV_STATE: of_robot.environment_state}
    return (
        of_robot.camera in (IMAGE, None)
        and all(
            part is not None and part.key == key and part.places == tuple(range(part.width))
            for key, part in stored.items()
        )
        and dataset.layout.environment_state == demonstrations.layout.environment_state
    )


def _arrays(stats: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value) for name, value in stats.items()}
