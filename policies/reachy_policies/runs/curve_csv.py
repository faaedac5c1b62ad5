"""A training's evaluations as a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def encode_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Encode rows as CSV; a cell is empty where its row lacks the column."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
