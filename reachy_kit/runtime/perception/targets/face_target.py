"""face: a person's face, kept as a box and an angle only; no image and nothing that tells people apart is stored.

Try it: reachy-kit eval expert --task track --robot daemon --target face --episodes 3
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from reachy_kit.runtime.errors import KitError, MissingPackageError, WrongUseError
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.target import size_at
from reachy_kit.runtime.perception.targets.camera_perception import open_camera_perception
from reachy_kit.runtime.perception.targets.face_cascade import FaceCascade
from reachy_kit.runtime.perception.targets.face_choice import FaceChoice
from reachy_kit.runtime.perception.targets.target_kind import TargetKind, TargetPicture

LEAST_FACE = 20
"""Side of the smallest face that is looked for, px of a frame 320 px wide; smaller ones are often found too."""
FACE_SIDE = 0.141
"""Side of a square with the area of a face's box, m: what the cascade draws around a face whose eyes are
``EYES_APART``. Source: the picture of ``TARGET``; people differ by some 5 %."""
EYES_APART = 0.063
"""Distance between the middles of an adult's eyes, m. Source: Dodgson, "Variation and extrema of human interpupillary
distance", 2004: mean 63 mm."""
_MIDDLE = 0.54
"""Place of the middle between eyes and mouth, as a share of its height from the top. Source: the same picture."""


class FaceDetector:
    """Detector of one face, chosen as ``FaceChoice`` says."""

    width = SIM_CAMERA.width

    def __init__(self) -> None:
        self._cascade = FaceCascade(LEAST_FACE)
        self._choice = FaceChoice()

    def reset(self) -> None:
        """Forget the chosen face."""
        self._choice.reset()

    def detect(self, image: Image) -> Array | None:
        """(3,) rad, right, below and size, of the chosen face, from its box alone."""
        box = self._choice.choose(self._cascade.find(image))
        if box is None:
            return None
        camera = PinholeCamera(image.shape[1], image.shape[0])
        left, top, right, bottom = box - 0.5  # edges of pixels, not their middles
        column, row = (left + right) / 2, top + _MIDDLE * (bottom - top)
        area = (right - left) * (bottom - top)
        # A flat thing that faces the camera: its image shrinks with the distance, and grows off the axis.
        radius = camera.angular_radius(column, row, area)
        return np.array([*camera.bearing(column, row), size_at(FACE_SIDE / np.sqrt(np.pi) / np.tan(radius))])


def _open_detector(argument: str) -> FaceDetector:
    if argument:
        raise WrongUseError(f"--target face:{argument}: a face takes no argument")
    return FaceDetector()


def _picture(argument: str) -> TargetPicture:
    """The one face picture of scikit-image: the astronaut Eileen Collins (NASA, public domain)."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise MissingPackageError("the picture of a face (scikit-image) is not installed here", "face")
    file = Path(spec.origin).parent / "data" / "astronaut.png"
    image = cv2.imread(str(file))
    if image is None:
        raise KitError(f"{file} is missing: install scikit-image again")
    image = cv2.cvtColor(image[:260, 80:360], cv2.COLOR_BGR2RGB)
    eyes_apart = 43.0  # px in that picture
    return TargetPicture(image, 280 * EYES_APART / eyes_apart, (143.5, 121.0), FACE_SIDE / np.sqrt(2))


TARGET = TargetKind(open_camera_perception(_open_detector), _open_detector, _picture)
