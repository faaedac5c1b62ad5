"""Fit the noise model of perception to the detector itself, on rendered frames of known geometry.

Rendered frames have no motion blur, no sensor noise and no lens distortion: what comes out is the least error of the
detector, not its error on a real camera (reachy_sim.sensing_noise says what is added).

Try it: .venv/bin/python -m reachy_sim.sensing.detector_noise --out runs/detector
"""

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.progress import track
from scipy import stats

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, bearing, pose_from_vector
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Array, Observation
from reachy_kit.runtime.perception.ball import BallDetector
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.target import SIZE, VISIBLE
from reachy_sim.dynamics.model import BALL_RADIUS, HEAD_HEIGHT

CONFIDENCE = 0.95
WHOLE = 1.2
"""Half-widths of its image from the ball's centre to the nearest edge of the frame, from which on a ball counts as
whole: 1, and what the image's middle lies outside the ball's."""
DISTANCE = (0.3, 3.0)
"""m from the camera, uniform in the logarithm: radii of 2 to 20 px in the simulated eye."""


@dataclass(frozen=True)
class Sightings:
    """What the detector made of M frames, beside the geometry."""

    bearing: Array
    """(M, 2) rad right of and below the optical axis, as geometry says."""
    size: Array
    """(M,) rad, apparent radius, as geometry says."""
    inside: Array
    """(M,) how far the ball's centre lies inside the nearest edge of the frame, in half-widths of the ball's image:
    below 0 it is outside, and from about 1 on the whole ball is in the frame."""
    found: npt.NDArray[np.bool_]
    """(M,) whether the detector saw a ball."""
    measured: Array
    """(M, 3) rad: right, below, size as the detector says; NaN where it found nothing."""

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """(M,) whether the ball's whole image lies in the frame."""
        return self.inside >= WHOLE


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NoiseFit:
    """The detector's errors on whole balls, then at the edge of the image."""

    frames: int
    bias: tuple[Estimate, Estimate]
    """rad, mean error right and below."""
    deviation: tuple[Estimate, Estimate]
    """rad, standard deviation of the error right and below."""
    stretch: Estimate
    """The error's slope over size² · tan(bearing). Off the axis a ball's image is an ellipse whose middle lies outside
    the ball's, by just that to the first order: a perfect measurement of the image gives 1."""
    remainder: tuple[Estimate, Estimate]
    """rad, standard deviation of the error without that stretch: pixels."""
    size_bias: Estimate
    """Mean relative error of the apparent radius."""
    size_deviation: Estimate
    """Standard deviation of the same."""
    missed: Estimate
    """Share of frames with a whole ball in which none was found."""
    by_size: tuple[dict[str, float], ...]
    """The same by apparent size: bins of equal count, smallest first."""
    by_inside: tuple[dict[str, float], ...]
    """By how far the centre lies inside the frame, in half-widths: balls, share found, how far they seem pulled towards
    the middle in apparent radii, relative error of the size."""
    border: float
    """Half-widths inside the frame that best part the balls that are found from those that are not."""


def measure(count: int, seed: int = 0, camera: PinholeCamera = SIM_CAMERA, *, progress: bool = False) -> Sightings:
    """Render balls at random places in and around the image from random poses, and let the detector look.

    Args:
        count: frames.
        seed: of the draw.
        camera: size of the frames.
        progress: show a bar.

    Raises:
        KitError: no off-screen renderer works here.
    """
    from reachy_sim.rendering.head_camera import HeadCameraRenderer

    poses, targets, in_camera = _draw(count, np.random.default_rng(seed), camera)
    measured = np.full((count, 3), np.nan)
    with closing(HeadCameraRenderer(camera)) as eye:
        for index in track(range(count), "frames", console=Console(stderr=True), disable=not progress):
            image = eye.render(poses[index], targets[index])
            features = BallDetector().perceive(Observation(NEUTRAL, 0.0, images={CAMERA: image}))
            if features[VISIBLE]:
                measured[index] = features[: SIZE + 1]
    size = np.arcsin(BALL_RADIUS / np.linalg.norm(in_camera, axis=-1))
    inside = _inside(in_camera, camera)
    return Sightings(bearing(in_camera), size, inside, np.isfinite(measured[:, 0]), measured)


def _inside(in_camera: Array, camera: PinholeCamera) -> Array:
    """(M,) as in Sightings, from (M, 3) m in the camera's frame. Off the axis a ball's image is an ellipse."""
    across, ahead = in_camera[:, :2], in_camera[:, 2:]
    half_width = BALL_RADIUS * np.sqrt(across**2 + ahead**2 - BALL_RADIUS**2) / (ahead**2 - BALL_RADIUS**2)
    edge = np.array([camera.width, camera.height]) / 2 / camera.focal
    inside: Array = np.min((edge - np.abs(across / ahead)) / half_width, axis=-1)
    return inside


def _draw(count: int, rng: np.random.Generator, camera: PinholeCamera) -> tuple[Array, Array, Array]:
    """Poses (count, 4, 4), balls (count, 3) in m in the base frame and the same in the camera's; none in the table."""
    kept: list[tuple[Array, Array, Array]] = []
    while sum(len(poses) for poses, _, _ in kept) < count:
        limits = np.array([0.015] * 3 + [0.3, 0.3, 1.0])
        poses = pose_from_vector(rng.uniform(-limits, limits, (count, 6)))
        distance = np.exp(rng.uniform(np.log(DISTANCE[0]), np.log(DISTANCE[1]), count))
        half = np.array([camera.width, camera.height]) / 2 / camera.focal + 2 * BALL_RADIUS / distance[:, None]
        rays = np.hstack([rng.uniform(-half, half), np.ones((count, 1))])
        in_camera = distance[:, None] * rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        in_head = CAMERA_IN_HEAD + in_camera[:, [2, 0, 1]] * [1, -1, -1]
        targets = poses[:, :3, 3] + np.sum(poses[:, :3, :3] * in_head[:, None, :], axis=-1)
        above = targets[:, 2] + HEAD_HEIGHT > BALL_RADIUS
        kept.append((poses[above], targets[above], in_camera[above]))
    poses, targets, in_camera = (np.concatenate(parts)[:count] for parts in zip(*kept, strict=True))
    return poses, targets, in_camera


def fit(sightings: Sightings, bins: int = 6) -> NoiseFit:
    """Bias, spread and misses of the detector.

    Args:
        sightings: of at least 20 whole balls.
        bins: of apparent size.

    Raises:
        KitError: too few balls were whole and found.
    """
    used = sightings.whole & sightings.found
    if used.sum() < 20:
        raise KitError(f"only {used.sum()} whole balls were found, and 20 are needed: render more frames")
    errors, relative = _errors(sightings)
    right, below, size = errors[used, 0], errors[used, 1], relative[used]
    lever = sightings.size[used, None] ** 2 * np.tan(sightings.bearing[used])
    stretch = _slope(lever.ravel(), errors[used].ravel())
    rest_right, rest_below = (errors[used] - stretch.value * lever).T
    order = np.array_split(np.argsort(sightings.size[sightings.whole]), bins)
    whole = np.flatnonzero(sightings.whole)
    return NoiseFit(
        frames=len(sightings.size),
        bias=(_mean(right), _mean(below)),
        deviation=(_spread(right), _spread(below)),
        stretch=stretch,
        remainder=(_spread(rest_right), _spread(rest_below)),
        size_bias=_mean(size),
        size_deviation=_spread(size),
        missed=_share(int((~sightings.found[whole]).sum()), len(whole)),
        by_size=tuple(_bin_by_size(sightings, whole[part]) for part in order if len(part)),
        by_inside=tuple(_bins_by_inside(sightings)),
        border=_border(sightings),
    )


def _errors(sightings: Sightings) -> tuple[Array, Array]:
    """(M, 2) rad of bearing, and (M,) of size relative to the true one."""
    return sightings.measured[:, :2] - sightings.bearing, sightings.measured[:, 2] / sightings.size - 1


def _mean(values: Array) -> Estimate:
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def _spread(values: Array) -> Estimate:
    """By bootstrap: the errors' tails are longer than a normal's."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(0, len(values), (400, len(values)))].std(axis=1, ddof=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(values.std(ddof=1)), float(low), float(high))


def _slope(x: Array, y: Array) -> Estimate:
    """Least squares through the origin."""
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(np.sum((y - slope * x) ** 2) / (len(x) - 1) / (x @ x)))
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
    return Estimate(slope, slope - reach, slope + reach)


def _share(count: int, of: int) -> Estimate:
    interval = stats.binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(count / of, float(interval.low), float(interval.high))


def _bin_by_size(sightings: Sightings, chosen: npt.NDArray[np.intp]) -> dict[str, float]:
    errors, relative = _errors(sightings)
    seen = chosen[sightings.found[chosen]]
    row = {"size": float(sightings.size[chosen].mean()), "missed": 1 - len(seen) / len(chosen)}
    if len(seen) > 1:
        right, below = errors[seen].std(axis=0, ddof=1)
        row |= {"right": float(right), "below": float(below)}
        row |= {"relative": float(relative[seen].std(ddof=1)), "relative_bias": float(relative[seen].mean())}
    return row


def _bins_by_inside(sightings: Sightings, width: float = 0.2) -> list[dict[str, float]]:
    """What becomes of balls that the edge of the frame cuts off."""
    _, relative = _errors(sightings)
    away = np.abs(sightings.measured[:, :2]) - np.abs(sightings.bearing)
    inward = -np.min(away, axis=-1) / sightings.size
    rows = []
    for middle in np.arange(-0.9, 1.6, width):
        chosen = np.abs(sightings.inside - middle) < width / 2
        seen = chosen & sightings.found
        if chosen.any():
            row = {"inside": float(middle), "balls": float(chosen.sum()), "found": float(seen.sum() / chosen.sum())}
            if seen.any():
                row |= {"inward": float(inward[seen].mean()), "relative": float(relative[seen].mean())}
            rows.append(row)
    return rows


def _border(sightings: Sightings) -> float:
    """The threshold between found and not found with the fewest mistakes, among balls near the edge."""
    near = np.abs(sightings.inside) < 1
    order = np.argsort(sightings.inside[near])
    inside, found = sightings.inside[near][order], sightings.found[near][order]
    if not len(inside):
        return float("nan")
    mistakes = np.concatenate([[0], np.cumsum(found)]) + np.concatenate([np.cumsum(~found[::-1])[::-1], [0]])
    edges = np.concatenate([[inside[0]], (inside[1:] + inside[:-1]) / 2, [inside[-1]]])
    return float(edges[np.argmin(mistakes)])


def main(
    out: Annotated[Path, typer.Option(help="Folder for detector.json and detector.png.")] = Path("runs/detector"),
    frames: Annotated[int, typer.Option(min=50, help="How many frames to render.")] = 4000,
    seed: int = 0,
) -> None:
    """Measure the detector's errors on rendered frames and fit the simulator's noise model to them."""
    from reachy_sim.sensing.detector_plot import plot

    try:
        sightings = measure(frames, seed, progress=True)
        fitted = fit(sightings)
    except KitError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from error
    out.mkdir(parents=True, exist_ok=True)
    (out / "detector.json").write_text(json.dumps({"seed": seed, **asdict(fitted)}, indent=2) + "\n")
    plot(sightings, fitted, out / "detector.png")
    for line in summary(fitted):
        typer.echo(line)
    typer.echo(f"written: {out / 'detector.json'} and {out / 'detector.png'}; next: sim/reachy_sim/sensing_noise.py")


def summary(fitted: NoiseFit) -> list[str]:
    """A line for each number, in degrees and percent."""

    def text(name: str, estimate: Estimate, scale: float, unit: str) -> str:
        value, low, high = (scale * number for number in (estimate.value, estimate.low, estimate.high))
        return f"{name:<22} {value:7.3f} {unit}   [{low:.3f}, {high:.3f}]"

    degrees = float(np.rad2deg(1))
    return [
        text("bearing right, bias", fitted.bias[0], degrees, "°"),
        text("bearing below, bias", fitted.bias[1], degrees, "°"),
        text("bearing right, spread", fitted.deviation[0], degrees, "°"),
        text("  without stretch", fitted.remainder[0], degrees, "°"),
        text("bearing below, spread", fitted.deviation[1], degrees, "°"),
        text("  without stretch", fitted.remainder[1], degrees, "°"),
        text("stretch", fitted.stretch, 1, " "),
        text("size, bias", fitted.size_bias, 100, "%"),
        text("size, spread", fitted.size_deviation, 100, "%"),
        text("whole balls missed", fitted.missed, 100, "%"),
        f"{'border':<22} {fitted.border:7.3f} half-widths inside the frame",
    ]


if __name__ == "__main__":
    typer.run(main)
