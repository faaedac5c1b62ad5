"""A small policy that takes images, recorded, trained and exported in the simulator: what test_pixels.py drives with.

`make test-media` makes it outside its Debian root, in this checkout's environment; that takes minutes, once.

Run: .venv/bin/python tests/media/pixel_policy.py FILE
"""

import sys
import tempfile
from pathlib import Path

from reachy_kit.workflows.export import export_run
from reachy_kit.workflows.record import record
from reachy_kit.workflows.training.train_imitation import train_imitation

EPISODES, HZ = 24, 10
SETTINGS = {"obs_type": "pixels", "max_steps": 600}


def main() -> None:
    """Record, train, export."""
    bundle = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=bundle.parent) as folder:
        dataset, run, done = (Path(folder, name) for name in ("data", "run", "done.bundle"))
        record(dataset, task="look_at", episodes=EPISODES, hz=HZ, camera=True)
        train_imitation(dataset, run, settings=dict(SETTINGS))
        export_run(run, done)
        done.replace(bundle)


if __name__ == "__main__":
    main()
