"""Image of the targets in the simulated head camera, each marked where its detector sees it.

Try it: .venv/bin/python -m reachy_sim.rendering.target_gallery --out runs/targets.png
"""

import argparse
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.perception.images import reduce_width
from reachy_kit.runtime.perception.target import BELOW, RIGHT, SIZE
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
from reachy_sim.rendering.head_camera import HeadCameraRenderer

TARGETS = ("ball", "face", "marker:7")
_PLACES = np.array([[0.6, 0.15, 0.02], [0.8, -0.2, 0.05], [1.1, 0.35, 0.1]])
"""Places of a row's targets, (3, 3) m, base frame."""
_WIDTH = 320
_MARK = (255, 0, 200)


def draw_targets() -> Image:
    """Render every target at the same places, a row each, RGB uint8.

    Raises:
        KitError: no off-screen renderer works here.
    """
    rows = [np.concatenate([_marked(name, index) for index in range(len(_PLACES))], axis=1) for name in TARGETS]
    return np.concatenate(rows, axis=0)


def _marked(name: str, index: int) -> Image:
    target = target_by_name(name)
    kind = target.kind
    assert kind.open_detector is not None
    picture = kind.picture(target.argument) if kind.picture else None
    with closing(HeadCameraRenderer(kind.camera, picture)) as renderer:
        image = renderer.render(np.eye(4), _PLACES[index])
    found = kind.open_detector(target.argument).detect(image)
    image = reduce_width(image, _WIDTH).copy()
    if found is not None:
        focal = kind.camera.focal * _WIDTH / kind.camera.width
        column = image.shape[1] / 2 + focal * np.tan(found[RIGHT])
        row = image.shape[0] / 2 + focal * np.tan(found[BELOW]) / np.cos(found[RIGHT])
        centre = (round(float(column)), round(float(row)))
        cv2.circle(image, centre, round(float(focal * np.tan(found[SIZE]))), _MARK, 1, cv2.LINE_AA)
        cv2.drawMarker(image, centre, _MARK, cv2.MARKER_CROSS, 7)
    return image


def main() -> None:
    """Draw the targets."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/targets.png"), help="the PNG to write")
    out: Path = parser.parse_args().out
    image = cv2.cvtColor(draw_targets(), cv2.COLOR_RGB2BGR)
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), image)
    print(f"image: {out}")


if __name__ == "__main__":
    main()
