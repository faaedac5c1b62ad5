"""`reachy-kit demo`: from demonstrations to a learned behaviour on the robot's daemon, in one command."""

import base64
import html
import io
import json
import os
import re
import subprocess
import sys
from itertools import groupby, product
from pathlib import Path

import av
import numpy as np
import pytest

from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.interrupts import STOP

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
SECONDS, FPS, PANELS = 6, 2.5, 3
SMALLER = """
from functools import partial
from reachy_kit.runtime.watchdogs import loop_watchdogs
from reachy_kit.workflows import demo, demo_film

def train_rl(*arguments, settings, train=demo.train_rl, **options):
    return train(*arguments, settings=settings | {"num_envs": 4, "eval_episodes": 4, "batch_size": 16}, **options)

demo.train_imitation = partial(demo.train_imitation, settings={"max_steps": 100, "eval_every": 100})
demo.train_rl = train_rl
demo_film.EVERY = 10
loop_watchdogs.MISSED = 1.0  # where other tests keep the computer busy
"""
"""Python that shortens what the demo has no options for, and lets its loop miss ticks."""


def frames_of(film: bytes) -> list[np.ndarray]:
    """(height, width, 3) RGB each."""
    with av.open(io.BytesIO(film)) as container:
        assert container.streams.video[0].average_rate == FPS
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def panels_in(row: np.ndarray) -> int:
    """Count the images that white gaps separate in a (width, 3) row of pixels."""
    return sum(1 for white, _ in groupby((row > 245).all(axis=1)) if not white)


@pytest.mark.timeout(300)
@pytest.mark.long
def test_without_opengl_the_demo_ends_with_a_report_that_says_why_it_has_no_film(tmp_path):
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name, version in product(("EGL", "GL", "GLX", "OpenGL", "OSMesa"), ("", ".0", ".1", ".6", ".8")):
        (libraries / f"lib{name}.so{version}").touch()  # cannot be loaded
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(
        [REACHY_KIT, "demo", "--episodes", "3", "--sim-episodes", "1", "--daemon-episodes", "1",
         "--iterations", "1", "--json", "--out", "demo"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["film"] is None
    assert [evaluation["policy"] for evaluation in result["evaluations"]][3:] == ["imitation, daemon", "rl, daemon"]
    page = html.unescape((tmp_path / "demo/report.html").read_text())
    assert "There is no film: " in page
    assert "<video" not in page
    assert "the report has no film: " in done.stderr
    assert not (tmp_path / "demo/demo.mp4").exists()


@pytest.mark.timeout(300)
def test_a_miniature_demo(kit, daemon):
    command = kit.start("demo", "--episodes", 4, "--sim-episodes", 2, "--daemon-episodes", 1,
                        "--iterations", 2, "--json", "--out", "demo", before=SMALLER + daemon.as_default)  # fmt: skip
    result = command.wait(240)
    assert result.code == 0, result
    folder = kit.folder / "demo"

    assert (result.json["task"], result.json["variant"]) == ("track", "hard")
    evaluations = result.json["evaluations"]
    assert [evaluation["policy"] for evaluation in evaluations] == [
        "expert, sim",
        "imitation, sim",
        "rl, sim",
        "imitation, daemon",
        "rl, daemon",
    ]
    assert all(evaluation["seeds"] == [0, 1] for evaluation in evaluations[:3])
    on_daemon = evaluations[-1]
    assert on_daemon["seeds"] == [0]
    assert on_daemon["robot"].startswith("127.0.0.1:")
    assert {"nominal_ms", "p50_ms", "p99_ms", "max_ms", "late_ticks", "slowdown"} == on_daemon["rate"].keys()
    assert {pair["pairs"] for pair in result.json["daemon_against_sim"].values()} == {1}
    stages = result.json["stage_seconds"]
    assert list(stages) == ["recording", "imitation", "reinforcement learning", "simulator", "film", "daemon"]
    assert sum(stages.values()) <= result.json["seconds"] + 1

    for method, run in (("imitation", "run"), ("ppo", "run_rl")):
        bundle = read_bundle(folder / f"track_{method}.bundle")
        assert (bundle.manifest.task, bundle.manifest.provenance["method"]) == ("track", method)
        assert bundle.manifest.provenance["episodes"] == 4
        assert (folder / run / "pretrained_model/model.safetensors").is_file()
    assert read_bundle(folder / "track_ppo.bundle").manifest.provenance["variant"] == "hard"

    page = (folder / "report.html").read_text()
    images = re.findall(r'<img[^>]*\bsrc="([^"]*)"', page)
    assert len(images) >= 4
    assert all(image.startswith("data:image/png;base64,iVBOR") for image in images)
    assert not re.search(r"<(script|link|iframe|object)\b|url\(|@import|(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "rl, daemon" in page

    for label in ("imitation", "rl"):
        against = result.json["against_expert"][label]
        assert against["pairs"] == 2
        assert against["verdict"] == "can't tell"  # two episodes cannot tell
        assert against["sentence"].startswith(f"Can't tell whether {label} passes its expert: ")
        assert against["sentence"] in html.unescape(page)

    [film] = re.findall(r'<video src="data:video/mp4;base64,([^"]*)"[^>]*\bcontrols loop muted playsinline>', page)
    content = base64.b64decode(film)
    assert content == (folder / "demo.mp4").read_bytes()
    assert result.json["film"] == "demo/demo.mp4"
    frames = frames_of(content)
    assert len(frames) == SECONDS * FPS
    assert all(panels_in(frame[200]) == PANELS for frame in frames)
    assert (frames[0] != frames[-1]).any()
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "demo.webp").read_bytes().count(b"ANMF") == len(frames)


@pytest.mark.timeout(300)
@pytest.mark.long
def test_a_key_that_stops_the_robot_leaves_the_demo_with_its_report(kit, daemon, open_terminal):
    terminal = open_terminal()
    running = kit.start(
        "demo", "--episodes", 3, "--sim-episodes", 1, "--daemon-episodes", 1, "--iterations", 1, "--out", "demo",
        before=SMALLER + daemon.as_default, terminal=terminal,
    )  # fmt: skip
    terminal.wait("the space bar, Esc or q stops the robot", 240)
    terminal.press("space")
    running.wait().says(128 + STOP, "stopped by a key")
    assert daemon.lies_down
    page = (kit.folder / "demo/report.html").read_text()
    assert "rl, sim" in page
    assert "rl, daemon" not in page
