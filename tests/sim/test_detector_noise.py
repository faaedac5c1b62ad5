"""The fit of the noise model recovers known errors, and its command writes the results."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_sim.sensing.detector_noise import fit_noise
from reachy_sim.sensing.sightings import Sightings, render_sightings
from reachy_sim.sensing_noise import FITTED_BEARING, FITTED_MISSED, FITTED_SIZE, SensingNoise

KNOWN = {"bias": (0.002, -0.001), "deviation": (0.004, 0.002), "size_bias": -0.05, "size": 0.03, "missed": 0.1}


def synthetic(count=6000, stretch=0.0, border=0.0, seed=0):
    """Sightings of a detector with the known errors, which loses balls beyond a border."""
    rng = np.random.default_rng(seed)
    bearing, size = rng.uniform([-0.7, -0.4], [0.7, 0.4], (count, 2)), rng.uniform(0.02, 0.1, count)
    inside = rng.uniform(-1, 4, count)
    found = (rng.random(count) >= KNOWN["missed"]) & (inside > border)
    errors = KNOWN["bias"] + rng.standard_normal((count, 2)) * KNOWN["deviation"]
    errors += stretch * size[:, None] ** 2 * np.tan(bearing)
    measured = np.column_stack(
        [bearing + errors, size * (1 + KNOWN["size_bias"] + KNOWN["size"] * rng.standard_normal(count))]
    )
    measured[~found] = np.nan
    return Sightings(bearing, size, inside, found, measured)


def covers(estimate, value):
    """Whether the interval, half as long again, holds a value; one in twenty intervals misses it as it is."""
    slack = 0.25 * (estimate.high - estimate.low)
    return estimate.low - slack <= value <= estimate.high + slack


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_recovers_known_errors(seed):
    fitted = fit_noise(synthetic(seed=seed))
    for axis in range(2):
        assert covers(fitted.bias[axis], KNOWN["bias"][axis])
        assert covers(fitted.deviation[axis], KNOWN["deviation"][axis])
    assert covers(fitted.size_bias, KNOWN["size_bias"])
    assert covers(fitted.size_deviation, KNOWN["size"])
    assert covers(fitted.missed, KNOWN["missed"])
    assert fitted.deviation[0].high - fitted.deviation[0].low < 0.1 * KNOWN["deviation"][0]


def test_the_fit_separates_the_stretch_of_ellipses_from_other_errors():
    fitted = fit_noise(synthetic(stretch=1.5))
    assert covers(fitted.stretch, 1.5)
    assert fitted.remainder[1].value == pytest.approx(KNOWN["deviation"][1], rel=0.05)
    assert fitted.deviation[1].value > fitted.remainder[1].value


@pytest.mark.parametrize("border", [-0.4, 0.0, 0.3])
def test_the_fit_finds_where_balls_at_the_edge_are_lost(border):
    assert fit_noise(synthetic(border=border)).border == pytest.approx(border, abs=0.03)


def test_too_few_balls_are_refused():
    with pytest.raises(KitError, match="render more frames"):
        fit_noise(synthetic(count=20))


def test_the_defaults_are_what_the_detector_does_on_rendered_frames_and_more():
    fitted = fit_noise(render_sightings(400, seed=1))
    worse = max(estimate.value for estimate in fitted.deviation)
    assert np.rad2deg(worse) == pytest.approx(FITTED_BEARING, rel=0.3)
    assert fitted.size_deviation.value == pytest.approx(FITTED_SIZE, rel=0.3)
    assert fitted.missed.value == FITTED_MISSED
    assert fitted.stretch.value == pytest.approx(1, abs=0.15)
    assert abs(fitted.border) < 0.3
    noise = SensingNoise()
    assert noise.bearing > worse
    assert noise.size > fitted.size_deviation.value
    assert noise.missed > fitted.missed.value


@pytest.mark.long
def test_the_command_writes_its_numbers_and_its_plot(tmp_path):
    command = [
        sys.executable,
        "-m",
        "reachy_sim.sensing.detector_report",
        "--out",
        str(tmp_path / "new"),
        "--frames",
        "120",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    written = json.loads((tmp_path / "new/detector.json").read_text())
    assert written["frames"] == 120
    assert written["deviation"][0]["low"] < written["deviation"][0]["value"] < written["deviation"][0]["high"]
    assert cv2.imread(str(tmp_path / "new/detector.png")).shape[1] > 1000
    assert "bearing right, spread" in done.stdout
    assert "Exception ignored" not in done.stderr
