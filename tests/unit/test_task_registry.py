"""Tasks and features by name: they are listed without loading, and a broken one is reported."""

import subprocess
import sys

import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.features import (
    Feature,
    feature_by_name,
    features_by_name,
    register_features,
    units_of,
)
from reachy_kit.runtime.perception.selection import select_perception
from reachy_kit.runtime.perception.sound import BEAT_FEATURES, SOUND_FEATURES
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.tasks.task_registry import own_task_names, task_names, task_spec

SPEC = """
from reachy_kit.runtime.interface import TaskError, TaskSpec
SPEC = TaskSpec("{name}", "Do it.", {features}, ("{axis}",), TaskError("error"), "X/Y-v0", f"{{__name__}}:SIMULATION")
"""


@pytest.fixture
def task_file(tmp_path):
    def write(text=SPEC, **fields):
        path = tmp_path / "mine.py"
        usual = {"name": "mine", "features": TARGET_FEATURES, "axis": "head_yaw.pos"}
        path.write_text(text.format(**usual | fields) if text is SPEC else text)
        return str(path)

    return write


def test_the_kit_has_its_four_tasks():
    assert own_task_names() == ("dance", "look_at", "sound_orient", "track")
    for name in own_task_names():
        spec = task_spec(name)
        assert spec.name == name
        assert len(features_by_name(spec.features)) == len(spec.features)


def test_only_the_phase_error_has_the_unit_degrees_of_a_beat():
    assert task_spec("dance").error.heading == "phase error (degrees of a beat)"
    assert task_spec("track").error.text(0.1) == "5.7°"


def test_listing_the_tasks_loads_none_of_them():
    code = (
        "import sys; from reachy_kit.runtime.tasks.task_registry import task_names; task_names();"
        "assert not [name for name in sys.modules if name.endswith('_spec')]; assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


def test_the_light_half_of_a_task_loads_nothing_heavy():
    code = (
        "import sys; from reachy_kit.runtime.tasks.task_registry import known_tasks; assert list(known_tasks());"
        "assert not {'mujoco', 'gymnasium', 'torch', 'lerobot', 'reachy_sim'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": "SPEC = 7"}, "does not hold a task"),
        ({"text": "import this is not Python"}, "SyntaxError"),
        ({"text": "import sys; sys.exit(3)"}, "SystemExit"),
        ({"name": "look_at"}, "another task is already called look_at"),
        ({"features": ("smell_sweet",)}, "no perception feature is called 'smell_sweet'"),
        ({"axis": "tail.pos"}, "explored axes tail.pos do not exist"),
    ],
    ids=["no SPEC", "no Python", "exits", "name taken", "no such feature", "no such axis"],
)
def test_a_broken_task_file_is_refused_in_one_line(task_file, fields, said):
    path, loaded = task_file(**fields), set(sys.modules)
    with pytest.raises(WrongUseError) as refused:
        task_spec(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "mine" not in task_names()
    assert not [name for name in sys.modules.keys() - loaded if name.startswith("reachy_kit_task_")]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WrongUseError, match=r"none\.py does not exist"):
        task_spec(str(tmp_path / "none.py"))


def test_a_feature_is_declared_once():
    register_features(Feature("test_warmth", "K", 0.0, 400.0, "of the room"))
    register_features(Feature("test_warmth", "K", 0.0, 400.0, "of the room"))
    assert feature_by_name("test_warmth").unit == "K"
    with pytest.raises(WrongUseError, match="two features are called test_warmth"):
        register_features(Feature("test_warmth", "K", 0.0, 400.0, "of the motors"))


def test_units_come_in_the_order_of_the_names():
    assert units_of(("target_age", "beat_tempo", "sound_right")) == ("s", "Hz", "rad")


@pytest.mark.parametrize(
    ("requested", "robot", "features", "selected"),
    [
        ("auto", "sim", TARGET_FEATURES, "geometry"),
        ("auto", "daemon", TARGET_FEATURES, "detector"),
        ("auto", "daemon", BEAT_FEATURES, "geometry"),
        ("auto", "hardware", TARGET_FEATURES, "detector"),
        ("auto", "hardware", None, "detector"),
        ("auto", "hardware", SOUND_FEATURES, "microphone"),
        ("microphone", "daemon", BEAT_FEATURES, "microphone"),
        ("detector", "sim", TARGET_FEATURES, "detector"),
        ("geometry", "daemon", TARGET_FEATURES, "geometry"),
    ],
)
def test_a_robot_gets_a_perception_that_yields_the_features(requested, robot, features, selected):
    assert select_perception(requested, robot, features) == selected


def test_a_simulated_robot_hears_a_microphone_that_is_named():
    assert select_perception("auto", "daemon", BEAT_FEATURES, microphone=True) == "microphone"
    assert select_perception("auto", "daemon", TARGET_FEATURES, microphone=True) == "detector"


@pytest.mark.parametrize(
    ("requested", "robot", "features", "said"),
    [
        ("auto", "hardware", ("smell",), "no perception yet that yields smell"),
        ("microphone", "daemon", TARGET_FEATURES, "yields features of sound"),
        ("geometry", "hardware", TARGET_FEATURES, "no --perception geometry"),
        ("detector", "daemon", BEAT_FEATURES, "take --perception geometry"),
        ("nose", "sim", TARGET_FEATURES, "nose does not exist"),
    ],
)
def test_a_perception_that_cannot_yield_them_is_refused(requested, robot, features, said):
    with pytest.raises(WrongUseError, match=said):
        select_perception(requested, robot, features)
