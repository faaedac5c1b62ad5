"""Learning curves of training groups: every training a thin line, their median a thick one.

Run:
    .venv/bin/python tests/bench/curves.py ppo=runs/study/ppo scratch=runs/study/scratch --out policies/images/track.png
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

PANELS = (("success", 100.0, "success on held-out episodes (%)"), ("error", 180 / np.pi, "error (degrees)"))


def read_curves(folder: Path) -> list[list[dict[str, str]]]:
    """The evaluations of every training of a group, or of a single run."""
    paths = sorted(folder.glob("seed-*/curve.csv")) or [folder / "curve.csv"]
    return [list(csv.DictReader(path.open())) for path in paths]


def draw_curves(groups: dict[str, Path], title: str) -> Figure:
    """Success and error over the decisions of all environments."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (column, scale, label) in zip(panels, PANELS, strict=True):
        for index, (name, folder) in enumerate(groups.items()):
            trainings = read_curves(folder)
            steps = [float(row["env_steps"]) / 1000 for row in trainings[0]]
            values = np.array([[scale * float(row[column]) for row in training] for training in trainings])
            axes.plot(steps, values.T, color=f"C{index}", linewidth=0.5, alpha=0.4)
            axes.plot(
                steps,
                np.median(values, axis=0),
                color=f"C{index}",
                label=f"{name}, {len(values)} seed{'s' * (len(values) > 1)}",
            )
        axes.set(xlabel="thousand decisions", ylabel=label, ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].legend(frameon=False)
    figure.suptitle(title)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--title", default="")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    groups = dict(group.split("=", 1) for group in arguments.groups)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw_curves({name: Path(path) for name, path in groups.items()}, arguments.title).savefig(arguments.out, dpi=110)
