"""The files of a dataset as a reader finds them: what was committed, held in place until it has opened them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reachy_kit.dataset.dataset_layout import read_dataset_layout
from reachy_kit.dataset.folder_locks import locked
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.recording.redo_log import removes_files
from reachy_kit.runtime.shell_command import compose_command

METADATA = Path("meta")
"""Folder that a reader locks while it opens a dataset, and a recorder while it joins files."""
_PATIENCE = 10.0
"""How long a reader waits while files are joined, s; that takes a moment."""


@contextlib.contextmanager
def files_in_place(root: Path) -> Iterator[None]:
    """Keep a dataset's files where they are while they are opened. It writes nothing.

    A recorder may add episodes meanwhile: ``total_episodes`` of ``meta/info.json``, read first, says how many count.
    What the other files hold beyond them is to be ignored.

    Raises:
        RefusedError: the dataset's files are being joined, or were when their recorder was killed.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root / METADATA, shared=True, within=_PATIENCE))
        except BlockingIOError as error:
            raise RefusedError(
                f"{root}: a recorder is joining its files. Wait for it to end, then try again"
            ) from error
        except OSError:
            pass  # without such a folder it is not a dataset, which opening it says better
        if removes_files(root):
            raise RefusedError(f"{root}: joining its files was cut short. Complete it: {continue_command(root)}")
        yield


def continue_command(root: Path, episodes: int = 1) -> str:
    """Compose the command that continues a dataset's recording.

    Args:
        root: the dataset's folder.
        episodes: number that it is to hold; with one that it holds already, it is only put in order.
    """
    try:
        layout = read_dataset_layout(root)
    except KitError:
        return compose_command("record", episodes=episodes, out=root)
    return compose_command(
        "record",
        task=layout.task,
        variant=layout.provenance.get("variant"),
        hz=layout.policy_hz,
        camera=layout.image_shape is not None,
        episodes=episodes,
        out=root,
    )
