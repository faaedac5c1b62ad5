"""A folder that holds only what a desktop or a file system leaves there counts as empty."""

import pytest

from reachy_kit.runtime.folder_contents import contents


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._data",
        "Icon\r",
        "Thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        ".directory",
        "lost+found",
        ".Trash-1000",
    ],
)
def test_what_nobody_put_there_does_not_count(name, tmp_path):
    (tmp_path / name).write_bytes(b"\0")
    assert contents(tmp_path) == []


@pytest.mark.parametrize("name", ["meta", "NOTES.txt", ".saving", "a.DS_Store", "thumbs"])
def test_everything_else_counts(name, tmp_path):
    (tmp_path / name).write_bytes(b"\0")
    assert contents(tmp_path) == [tmp_path / name]
