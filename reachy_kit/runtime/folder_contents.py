"""Contents of a folder, without the files that desktops and file systems leave there unasked."""

import fnmatch
from itertools import count
from pathlib import Path

CLUTTER = (
    # macOS: Finder's view settings, icons, resource forks, and what it keeps on a volume
    *(".DS_Store", ".localized", "Icon\r", "._*", ".AppleDouble", "__MACOSX"),
    *(".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems"),
    # Windows: thumbnails, view settings, and what it keeps on a volume
    *("Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"),
    # Linux: KDE's view settings, a volume's wastebasket, and the folder that mkfs makes
    *(".directory", ".Trash-*", "lost+found"),
)
"""Patterns of names."""


def is_clutter(path: Path) -> bool:
    """Whether a file or folder has the name of one that a desktop or a file system makes unasked."""
    return any(fnmatch.fnmatchcase(path.name.lower(), pattern.lower()) for pattern in CLUTTER)


def contents(folder: Path) -> list[Path]:
    """Files and folders in a folder, by name, without clutter; none for a folder that counts as empty."""
    return sorted(path for path in folder.iterdir() if not is_clutter(path))


def free_path(path: Path) -> Path:
    """The path itself if nothing is there or an empty folder; else a numbered one beside it at which nothing is."""
    path = path if path.name not in ("", "..") else path.resolve()
    if not path.exists() or (path.is_dir() and not contents(path)):
        return path
    number = path.with_stem if path.is_file() else path.with_name
    name = path.stem if path.is_file() else path.name
    return next(free for n in count(2) if not (free := number(f"{name}-{n}")).exists())
