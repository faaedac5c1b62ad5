"""marker: a printed AprilTag or ArUco marker, found by OpenCV: exact, quick, and without anybody's face.

``marker`` takes the nearest AprilTag 36h11, ``marker:7`` the one with the number 7, ``marker:7:0.08`` one with an edge
of 0.08 m, and ``marker:4x4_50/7`` one of another dictionary.

Try it: reachy-kit eval expert --task track --robot sim --target marker:7 --episodes 3
"""

from dataclasses import dataclass

import cv2
import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import bearing
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_kit.runtime.perception.target import size_at
from reachy_kit.runtime.perception.targets.camera_perception import open_camera_perception
from reachy_kit.runtime.perception.targets.target_kind import TargetKind, TargetPicture

EDGE = 0.10
"""Length of a marker's edge, m, from black corner to black corner, where the argument gives none."""
DICTIONARY = "apriltag_36h11"
"""Dictionary where the argument gives none: of those that OpenCV knows the one with the fewest false finds."""
CAMERA = PinholeCamera(width=640, height=360)
"""Frames in which a marker of 0.1 m is read at up to 1.5 m: its cells need about 3 px each."""


@dataclass(frozen=True)
class Marker:
    """A marker as ``--target marker:[DICTIONARY/]NUMBER[:EDGE]`` gives it."""

    number: int | None = None
    """Number in its dictionary; None for the nearest, whatever its number."""
    edge: float = EDGE
    """Length of its edge, m."""
    dictionary: str = DICTIONARY
    """Name of its dictionary, as OpenCV has it after ``DICT_``."""

    @property
    def cells(self) -> "cv2.aruco.Dictionary":
        """The dictionary."""
        return cv2.aruco.getPredefinedDictionary(_dictionaries()[self.dictionary])


def parse_marker(argument: str) -> Marker:
    """The marker of an argument.

    Raises:
        WrongUseError: it cannot be read, or the marker does not exist.
    """
    place, _, edge_text = argument.partition(":")
    dictionary, slash, number_text = place.rpartition("/")
    wrong = f"--target marker:{argument}"
    try:
        edge = float(edge_text) if edge_text else EDGE
        number = int(number_text) if number_text else None
    except ValueError:
        raise WrongUseError(f"{wrong} cannot be read; give marker:NUMBER or marker:NUMBER:EDGE, edge in m") from None
    dictionary = dictionary.lower() if slash else DICTIONARY
    if dictionary not in _dictionaries():
        raise WrongUseError(f"{wrong}: no dictionary is called {dictionary}; there are {', '.join(_dictionaries())}")
    if not 0.005 <= edge <= 2.0:
        raise WrongUseError(f"{wrong}: an edge of {edge:g} m does not fit; it is given in m, from 0.005 to 2")
    marker = Marker(number, edge, dictionary)
    count = len(marker.cells.bytesList)
    if number is not None and not 0 <= number < count:
        raise WrongUseError(f"{wrong}: {dictionary} has the numbers 0 to {count - 1}")
    return marker


class MarkerDetector:
    """Detector of one marker.

    Args:
        marker: which.
    """

    width = CAMERA.width

    def __init__(self, marker: Marker | None = None) -> None:
        self._marker = marker or Marker()
        settings = cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        self._detector = cv2.aruco.ArucoDetector(self._marker.cells, settings)
        half = self._marker.edge / 2
        self._corners = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])

    def reset(self) -> None:
        """Do nothing: each frame is looked at on its own."""

    def detect(self, image: Image) -> Array | None:
        """(3,) rad, right, below and size, of the nearest marker with the number that is looked for."""
        corners, numbers, _ = self._detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if numbers is None:
            return None
        wanted = self._marker.number
        camera = PinholeCamera(image.shape[1], image.shape[0])
        places = [
            self._place(found[0], camera)
            for found, number in zip(corners, numbers.ravel(), strict=True)
            if wanted is None or number == wanted
        ]
        if not places:
            return None
        nearest = min(places, key=np.linalg.norm)
        return np.array([*bearing(nearest), size_at(float(np.linalg.norm(nearest)))])

    def _place(self, corners: Array, camera: PinholeCamera) -> Array:
        """(3,) m in the camera's frame of a marker whose corners are at (4, 2) px."""
        middle = (np.array([camera.width, camera.height]) - 1) / 2
        lens = np.array([[camera.focal, 0, middle[0]], [0, camera.focal, middle[1]], [0, 0, 1]])
        _, _, place = cv2.solvePnP(
            self._corners, corners.astype(np.float64), lens, None, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        return np.asarray(place[:, 0])


def _open_detector(argument: str) -> MarkerDetector:
    return MarkerDetector(parse_marker(argument))


def _picture(argument: str) -> TargetPicture:
    marker = parse_marker(argument)
    cells = marker.cells.markerSize + 2  # its black border is a cell wide, and so is the white one around it here
    side, margin = 32 * cells, 32
    image = np.full((side + 2 * margin, side + 2 * margin), 255, dtype=np.uint8)
    image[margin:-margin, margin:-margin] = cv2.aruco.generateImageMarker(marker.cells, marker.number or 0, side)
    middle = (len(image) - 1) / 2
    width, radius = marker.edge * len(image) / side, marker.edge / np.sqrt(2)
    return TargetPicture(np.repeat(image[..., None], 3, axis=-1), width, (middle, middle), radius)


def _dictionaries() -> dict[str, int]:
    """OpenCV's dictionaries by name, without ``DICT_``."""
    names = (name for name in dir(cv2.aruco) if name.startswith("DICT_"))
    return {name.removeprefix("DICT_").lower(): getattr(cv2.aruco, name) for name in names}


TARGET = TargetKind(open_camera_perception(_open_detector), _open_detector, _picture, CAMERA)
