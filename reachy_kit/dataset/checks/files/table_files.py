"""RK101. Tables against the metadata: each file is there, can be read, and holds all frames of its episodes."""

from collections.abc import Iterator

from reachy_kit.dataset.checks.finding import Aspect, Finding, register_file_check
from reachy_kit.dataset.dataset_index import DamagedFileError
from reachy_kit.dataset.stored_dataset import StoredDataset


@register_file_check("RK101", "damaged tables", Aspect.TABLES, refuses=True)
def check_table_files(dataset: StoredDataset) -> Iterator[Finding]:
    """Find tables that are missing, damaged or incomplete."""
    for file in dataset.tables:
        try:
            dataset.read(file)
        except DamagedFileError as error:
            held = tuple(entry.index for entry in dataset.episodes if entry.table == file)
            yield Finding(error.what, remedy=error.remedy, episodes=held)
