"""Matplotlib figures as PNG."""

import io

from matplotlib.figure import Figure


def encode_figure(figure: Figure) -> bytes:
    """Encode a figure as PNG, without the axes' upper and right lines."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
