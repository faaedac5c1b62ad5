"""The datasets that are damaged."""

import shutil

import pytest


@pytest.fixture
def dataset(recorded_dataset, tmp_path):
    """A copy of the recorded dataset, to be altered."""
    return shutil.copytree(recorded_dataset, tmp_path / "data")
