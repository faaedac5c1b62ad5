"""OpenGL is chosen at the first drawing: what draws nothing runs without it, and under any value of its variables.

A computer without OpenGL is made for real, for root and for others: ``LD_LIBRARY_PATH`` leads to empty files under the
libraries' names, so that loading them fails in every process below. Each case is a process of its own, because MuJoCo
and PyOpenGL decide at their import.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.runtime.robots.daemon import daemon_installed

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
VARIABLES = ("MUJOCO_GL", "PYOPENGL_PLATFORM")
NONE, DISABLED, GLFW = {}, {"MUJOCO_GL": "disable"}, {"MUJOCO_GL": "glfw"}
NONSENSE, TWO = {"MUJOCO_GL": "nonsense"}, {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}
MORE = [
    {"MUJOCO_GL": ""},
    {"MUJOCO_GL": "off"},
    {"PYOPENGL_PLATFORM": "osmesa"},
    {"PYOPENGL_PLATFORM": "nonsense"},
]
VALUES = [DISABLED, NONSENSE, *(pytest.param(value, marks=pytest.mark.long) for value in (NONE, TWO, GLFW, *MORE))]
DRAWN = [TWO, *(pytest.param(value, marks=pytest.mark.long) for value in (NONE, DISABLED, GLFW, MORE[2]))]
STATE_ONLY = """
import gymnasium, reachy_sim
for tier in ("kinematic", "physics"):
    env = gymnasium.make("ReachyMini/LookAt-v0", tier=tier)
    env.reset(seed=0)
    env.step(env.action_space.sample())
libraries = [line.split("/")[-1].strip() for line in open("/proc/self/maps") if "/lib" in line]
print([name for name in libraries if name.startswith(("libEGL", "libGL", "libOSMesa", "libOpenGL", "libglfw"))])
"""
DRAW = """
import gymnasium, reachy_sim
from reachy_sim.gl_backend import gl_backend
env = gymnasium.make("ReachyMini/LookAt-v0", tier="kinematic", render_mode="rgb_array")
env.reset(seed=0)
print(env.render().std() > 10, gl_backend().name)
"""


@pytest.fixture(scope="session")
def without_opengl(tmp_path_factory) -> dict[str, str]:
    """Environment of a process that cannot load OpenGL."""
    folder = tmp_path_factory.mktemp("empty libraries")
    versions = ("", ".0", ".1", ".2", ".6", ".8")
    for name in ("EGL", "GL", "GLX", "OpenGL", "OSMesa", "GLESv2", "GLESv1_CM"):
        for version in versions:
            (folder / f"lib{name}.so{version}").touch()
    return {"LD_LIBRARY_PATH": str(folder)}


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, cwd=folder, timeout=200, check=False
    )


def run_python(code: str, folder: Path, **variables: str) -> str:
    done = run([sys.executable, "-W", "error::UserWarning", "-c", code], folder, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("variables", VALUES, ids=str)
def test_observations_of_state_need_no_opengl_under_any_value_of_its_variables(variables, without_opengl, tmp_path):
    assert run_python(STATE_ONLY, tmp_path, **without_opengl, **variables) == "[]"


def test_opengl_that_is_there_is_not_loaded_before_something_is_drawn(tmp_path):
    assert run_python(STATE_ONLY, tmp_path) == "[]"


@pytest.mark.parametrize("variables", DRAWN, ids=str)
def test_images_are_drawn_under_any_value_of_the_variables(variables, tmp_path):
    wished = {name for name in variables.values() if name in ("egl", "osmesa")}
    drawn, backend = run_python(DRAW, tmp_path, **variables).split()
    assert drawn == "True"
    assert backend in (wished or {"egl", "osmesa"})


def test_without_a_driver_for_egl_osmesa_draws(tmp_path):
    done = run([sys.executable, "-c", DRAW], tmp_path, __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path))
    if any(can_load(f"libOSMesa.so.{version}") for version in (6, 8)):
        assert done.stdout.split() == ["True", "osmesa"]
    else:
        assert "egl: it does not have a driver that works" in done.stderr


def test_where_nothing_can_draw_the_images_say_what_to_install(without_opengl, tmp_path):
    code = """
import gymnasium, reachy_sim
from reachy_kit.runtime.errors import KitError
for options in ({"obs_type": "pixels"}, {"render_mode": "rgb_array"}, {"obs_type": "pixels", "processes": 2}):
    try:
        envs = gymnasium.make_vec("ReachyMini/LookAt-v0", 2, tier="kinematic", **options)
        envs.reset(seed=0)
        envs.render()
    except KitError as error:
        print(error)
"""
    lines = run_python(f"if __name__ == '__main__':\n    exec({code!r})", tmp_path, **without_opengl).splitlines()
    assert len(lines) == 3
    assert all("cannot draw off-screen (egl: " in line and "sudo apt install libegl1" in line for line in lines)


def test_a_mujoco_renderer_of_the_users_own_draws_after_our_import(tmp_path):
    code = """
import reachy_sim, mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light/><geom size='.1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    print(renderer.render().std() > 1)
"""
    assert run_python(code, tmp_path, MUJOCO_GL="nonsense") == "True"


# Commands


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "expert", "--task", "look_at", "--episodes", "1"],
        pytest.param(
            ["eval", "expert", "--task", "look_at", "--episodes", "1", "--tier", "kinematic"], marks=pytest.mark.long
        ),
        ["view", "--task", "look_at", "--seconds", "0.2", "--out", "film.mp4"],
        pytest.param(["record", "--task", "look_at", "--episodes", "1", "--out", "data"], marks=pytest.mark.long),
        pytest.param(["sysid", "--robot", "sim", "--out", "motors"], marks=pytest.mark.long),
    ],
    ids=lambda arguments: " ".join(arguments[:4]),
)
def test_commands_that_need_no_images_run_without_opengl(arguments, without_opengl, tmp_path):
    done = run([str(REACHY_KIT), *arguments], tmp_path, MUJOCO_GL="nonsense", **without_opengl)
    assert done.returncode == 0, done.stderr


def test_a_command_that_needs_images_says_what_to_install(without_opengl, tmp_path):
    command = [str(REACHY_KIT), "view", "--perception", "detector", "--seconds", "0.2", "--out", "film.mp4"]
    done = run(command, tmp_path, **without_opengl)
    assert done.returncode == 1
    assert "sudo apt install libegl1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_without_opengl_an_image_shows_robot_and_ball_in_the_same_places(without_opengl, tmp_path):
    code = """
import gymnasium, reachy_sim, numpy
env = gymnasium.make("ReachyMini/LookAt-v0", tier="kinematic", render_mode="robot")
env.reset(seed=0)
numpy.save("image.npy", env.render())
"""
    images = []
    for variables in ({}, without_opengl):
        run_python(code, tmp_path, **variables)
        images.append(np.load(tmp_path / "image.npy").astype(int))
    drawn, plain = images
    assert drawn.shape == plain.shape
    table = np.arange(len(drawn))[:, None] > 0.3 * len(drawn)
    for part in (
        lambda image: image[..., 1] > image[..., 0] + 60,  # the green ball
        lambda image: (image.min(axis=-1) > 160) & table,  # the white robot
    ):
        ours, theirs = part(plain), part(drawn)
        assert (ours & theirs).sum() > 0.7 * (ours | theirs).sum() > 0


@pytest.mark.long
def test_our_daemon_starts_under_any_value_and_without_opengl(without_opengl, tmp_path):
    assert daemon_installed()
    code = """
from reachy_kit.runtime.robots.daemon import daemon_status, simulated_daemon
with simulated_daemon() as address:
    print(daemon_status(address)["state"])
"""
    assert run_python(code, tmp_path, MUJOCO_GL="nonsense", **without_opengl) == "running"
