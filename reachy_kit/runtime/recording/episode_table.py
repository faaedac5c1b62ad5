"""The Parquet file of an episode: a row for each frame, a column for each key of the frame but the image.

A value of one number is a number; more of them are a list of a fixed length. Types are those of the frame. pyarrow is
loaded when a table is written or read, not before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.recording.schema import Frame

FRAME_INDEX = "frame_index"
"""Counts the rows from 0: a table without any other column has rows too."""


def write_table(path: Path, frames: Sequence[Frame], names: Sequence[str]) -> None:
    """Write columns of frames.

    They are put together in memory: after an error on the disk, pyarrow's writer would try again while it is deleted.

    Args:
        path: the file.
        frames: of the episode.
        names: of the columns.

    Raises:
        OSError: it cannot be written.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {FRAME_INDEX: pa.array(np.arange(len(frames)))}
    for name in names:
        if frames[0][name].size:  # no features without a camera
            columns[name] = _arrow(np.stack([frame[name] for frame in frames]))
    _write(path, pa.table(columns))


def write_binaries(path: Path, name: str, values: Sequence[bytes]) -> None:
    """Write one column of bytes.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow as pa

    _write(path, pa.table({FRAME_INDEX: pa.array(np.arange(len(values))), name: pa.array(values, type=pa.binary())}))


def read_table(path: Path) -> list[Frame]:
    """The frames of a file, as `write_table` received them.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    table = _read(path)
    rows = {name: _numpy(table.column(name)) for name in table.column_names if name != FRAME_INDEX}
    return [{name: values[index] for name, values in rows.items()} for index in range(table.num_rows)]


def read_binaries(path: Path, name: str) -> list[bytes]:
    """The column of bytes of a file, as `write_binaries` received it.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    table = _read(path)
    if name not in table.column_names:
        raise ValueError(f"{path.name} lacks {name}")
    values: list[bytes] = table.column(name).to_pylist()
    return values


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path).read()
    except pa.ArrowException as error:
        raise ValueError(f"{path.name}: {error}") from error


def _write(path: Path, table: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = pa.BufferOutputStream()
    parquet.write_table(table, buffer, compression="snappy")
    path.write_bytes(buffer.getvalue())


def _arrow(values: npt.NDArray[Any]) -> Any:
    """An Arrow array of (frames, K) values: of numbers for K = 1, else of lists of a fixed length."""
    import pyarrow as pa

    if values.ndim != 2:
        raise ValueError(f"a frame's value is a vector, not of shape {values.shape[1:]}")
    if values.shape[1] == 1:
        return pa.array(values[:, 0].tolist() if values.dtype.kind == "U" else values[:, 0])
    flat = pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(flat.type, values.shape[1]))


def _numpy(column: Any) -> Any:
    """The (frames, K) values of a column."""
    import pyarrow as pa

    column = column.combine_chunks()
    if column.null_count:
        raise ValueError("a value is missing")
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    if pa.types.is_string(column.type):
        return [np.array([text]) for text in column.to_pylist()]
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "biuf":
        raise ValueError("a value is not a number")
    return values[:, None]
