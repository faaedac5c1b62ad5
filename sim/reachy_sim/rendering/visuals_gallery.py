"""Image of all visuals: a row per range, training first, and a drawn environment per column.

Try it: .venv/bin/python -m reachy_sim.rendering.visuals_gallery --out runs/visuals.png
"""

import argparse
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from reachy_kit.runtime.interface import Image
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.visuals import DRAWS, TRAINING_VISUALS, VISUAL_RANGES


def draw_gallery(views: int = 5, seed: int = 0) -> Image:
    """Render drawn visuals of every range.

    Args:
        views: columns.
        seed: of the draws.

    Returns:
        RGB uint8.

    Raises:
        KitError: no off-screen renderer works here.
    """
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (views, 1, 1))
    targets = np.stack([np.linspace(0.6, 1.2, views), np.linspace(0.25, -0.35, views), np.full(views, -0.05)], axis=-1)
    shown = np.ones(views, dtype=bool)
    with closing(HeadCameraRenderer()) as renderer:
        rows = [
            renderer.render_batch(poses, targets, shown, visuals.draw(rng.random((views, DRAWS))))
            for visuals in (TRAINING_VISUALS, *VISUAL_RANGES.values())
        ]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def main() -> None:
    """Draw examples of all visuals."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/visuals.png"), help="the PNG to write")
    out: Path = parser.parse_args().out
    image = cv2.cvtColor(draw_gallery(), cv2.COLOR_RGB2BGR)
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), image)
    print(f"image: {out}")


if __name__ == "__main__":
    main()
