"""Plot of the detector's errors: on whole targets above, at the edge of the image below.

Try it: .venv/bin/python -m reachy_sim.sensing.detector_report --out runs/detector
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from reachy_kit.runtime.interface import Array
from reachy_sim.sensing.detector_noise import NoiseFit
from reachy_sim.sensing.sightings import Sightings
from reachy_sim.sensing_noise import SensingNoise

_RIGHT, _BELOW = "tab:blue", "tab:orange"


def plot_errors(sightings: Sightings, fitted: NoiseFit, file: Path, target: str) -> None:
    """Write six panels as a PNG file."""
    figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout="constrained")
    _histogram(axes[0, 0], sightings, fitted)
    _over_bearing(axes[0, 1], sightings, fitted)
    _over_size(axes[0, 2], fitted)
    _size_errors(axes[1, 0], sightings, fitted)
    _found_at_the_edge(axes[1, 1], fitted)
    _measured_at_the_edge(axes[1, 2], fitted)
    figure.suptitle(f"The detector of {target} on {fitted.frames} rendered frames of known geometry")
    figure.savefig(file, dpi=100)
    plt.close(figure)


def _degrees(sightings: Sightings) -> tuple[Array, Array]:
    """Errors and bearings of the whole targets that were found, (M, 2) degrees each."""
    used = sightings.whole & sightings.found
    return np.rad2deg(sightings.measured[used, :2] - sightings.bearing[used]), np.rad2deg(sightings.bearing[used])


def _histogram(axes: Axes, sightings: Sightings, fitted: NoiseFit) -> None:
    errors, _ = _degrees(sightings)
    edges = np.linspace(-0.5, 0.5, 81).tolist()
    grid: Array = np.linspace(-0.5, 0.5, 400, dtype=np.float64)
    for axis, (name, colour) in enumerate((("right", _RIGHT), ("below", _BELOW))):
        mean, spread = np.rad2deg(fitted.bias[axis].value), np.rad2deg(fitted.deviation[axis].value)
        axes.hist(errors[:, axis], edges, density=True, alpha=0.4, color=colour, label=f"{name}, σ {spread:.3f}°")
        axes.plot(grid, _normal(grid, mean, spread), color=colour)
    default = float(np.rad2deg(SensingNoise().bearing))
    axes.plot(grid, _normal(grid, 0.0, default), "k--", label=f"simulator, σ {default:.2f}°")
    axes.set(title="Bearing error and fitted normal", xlabel="error [°]", ylabel="density")
    axes.legend()


def _normal(x: Array, mean: float, spread: float) -> Array:
    return np.asarray(np.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi)))


def _over_bearing(axes: Axes, sightings: Sightings, fitted: NoiseFit) -> None:
    errors, bearings = _degrees(sightings)
    size = np.rad2deg(sightings.size[sightings.whole & sightings.found])
    dots = axes.scatter(bearings[:, 0], errors[:, 0], c=size, s=6, cmap="viridis")
    plt.colorbar(dots, ax=axes, label="apparent radius [°]")
    grid = np.linspace(-42, 42, 100)
    for radius in (2.0, 5.0):
        error = np.rad2deg(fitted.stretch.value * np.deg2rad(radius) ** 2 * np.tan(np.deg2rad(grid)))
        axes.plot(grid, error, "k-", linewidth=1)
        axes.annotate(f"{radius:.0f}°", (grid[-1], error[-1]))
    axes.set(title=f"An ellipse's centre is not the ball's: stretch {fitted.stretch.value:.2f}")
    axes.set(xlabel="bearing right [°]", ylabel="error right [°]")


def _over_size(axes: Axes, fitted: NoiseFit) -> None:
    size = np.rad2deg([row["size"] for row in fitted.by_size])
    for name, colour in (("right", _RIGHT), ("below", _BELOW)):
        spread = np.rad2deg([row.get(name, np.nan) for row in fitted.by_size])
        axes.plot(size, spread, "o-", color=colour, label=name)
    axes.axhline(np.rad2deg(SensingNoise().bearing), color="k", linestyle="--", label="simulator")
    axes.set(title="Spread of the bearing", xlabel="apparent radius [°]", ylabel="standard deviation [°]")
    axes.set_ylim(0)
    axes.legend()


def _size_errors(axes: Axes, sightings: Sightings, fitted: NoiseFit) -> None:
    used = sightings.whole & sightings.found
    size = sightings.size[used]
    axes.scatter(np.rad2deg(size), 100 * (sightings.measured[used, 2] / size - 1), s=6, alpha=0.4)
    rows = fitted.by_size
    middle, bias = (np.array([row.get(key, np.nan) for row in rows]) for key in ("size", "relative_bias"))
    spread = np.array([row.get("relative", np.nan) for row in rows])
    axes.errorbar(np.rad2deg(middle), 100 * bias, 100 * spread, fmt="ko-", capsize=3, label="mean ± σ of a bin")
    axes.set(title="Apparent radius", xlabel="apparent radius [°]", ylabel="relative error [%]")
    axes.legend()


def _found_at_the_edge(axes: Axes, fitted: NoiseFit) -> None:
    inside, found = (np.array([row[key] for row in fitted.by_inside]) for key in ("inside", "found"))
    axes.plot(inside, 100 * found, "o-")
    axes.axvline(0, color="0.7", label="centre on the edge")
    axes.axvline(fitted.border, color="k", linestyle="--", label=f"border at {fitted.border:.3f}")
    axes.set(title="Targets cut off by the edge: found", xlabel="centre inside the frame [half-widths]")
    axes.set(ylabel="found [%]")
    axes.legend()


def _measured_at_the_edge(axes: Axes, fitted: NoiseFit) -> None:
    rows = [row for row in fitted.by_inside if "inward" in row]
    inside, inward, size = (np.array([row[key] for row in rows]) for key in ("inside", "inward", "relative"))
    axes.plot(inside, inward, "o-", label="pulled to the middle [apparent radii]")
    axes.plot(inside, 1 + size, "s-", label="measured radius / true radius")
    axes.axvline(0, color="0.7")
    axes.set(title="Targets cut off by the edge: measured", xlabel="centre inside the frame [half-widths]")
    axes.set_ylim(-0.05, 1.4)
    axes.legend(loc="upper left")
