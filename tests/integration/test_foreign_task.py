"""A task and a feature from outside: one file or one package, without an edit in this repository."""

import json
import shutil
import zipfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import reachy_sim  # noqa: F401  (registers the environments)

TASK_FILE = Path(__file__).with_name("wave_task.py")
TINY_RL = ("--iterations", 1, "--set", "num_envs=4", "--set", "eval_episodes=4", "--set", "batch_size=16")


def manifest_of(bundle: Path) -> dict:
    with zipfile.ZipFile(bundle) as archive:
        return json.loads(archive.read("manifest.json"))


def install(folder: Path, entry_points: str, **modules: str) -> str:
    """A package with entry points; returns what a command runs before, as if it were installed."""
    information = folder / "elsewhere-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return f"import sys; sys.path.insert(0, {str(folder)!r})"


@pytest.fixture(scope="module")
def wave_file(tmp_path_factory) -> Path:
    """The task's file, outside the repository."""
    return shutil.copy(TASK_FILE, tmp_path_factory.mktemp("elsewhere") / "wave.py")


def test_a_task_in_a_file_goes_all_the_way_from_the_film_to_the_bundle(kit, wave_file):
    task = ("--task", wave_file)
    kit.run("view", *task, "--out", "wave.gif", "--seconds", 0.2, "--width", 160).says(0)
    kit.run("record", *task, "--episodes", 3, "--out", "data").says(0)
    kit.run("train", "imitation", "--dataset", "data", "--out", "bc", "--set", "max_steps=20").says(0)
    trained = kit.run("train", "rl", *task, "--init", "bc", "--out", "rl", *TINY_RL)
    assert trained.code == 0, trained.err
    assert "wave error (milliradians)" in trained.out

    evaluated = kit.run("eval", "rl", "expert", *task, "--episodes", 3, "--json").json
    rl, expert = evaluated["evaluations"]
    assert evaluated["task"] == "wave"
    assert rl["error"]["name"] == "wave error"
    assert expert["success"]["value"] == 1.0
    assert 0 < expert["error"]["median"] < 150 < rl["error"]["median"]  # milliradians
    table = kit.run("eval", "rl", *task, "--episodes", 2, "--tier", "kinematic")
    assert "mrad" in table.out, table

    kit.run("export", "rl", "--out", "wave.bundle").says(0)
    manifest = manifest_of(kit.folder / "wave.bundle")
    assert manifest["environment_state_units"] == ["rad", "1", "s"]
    ran = kit.run("run", "wave.bundle", "--robot", "sim", *task)
    assert "wave error" in ran.out, ran
    kit.run("run", "wave.bundle", "--robot", "sim").says(2, "no task is called 'wave'", "TASK.py")


def test_a_task_in_a_file_runs_in_worker_processes(wave_file):
    options = {"task": str(wave_file), "tier": "kinematic"}
    batches = [gymnasium.make_vec("ReachyMini/LookAt-v0", 2, processes=count, **options) for count in (1, 2)]
    steps = []
    for envs in batches:
        observation, _ = envs.reset(seed=3)
        _, rewards, *_ = envs.step(envs.action_space.sample() * 0)
        steps.append((observation, rewards))
        envs.close()
    (single, reward), (shared, reward_there) = steps
    assert single["environment_state"].shape == (2, 3)
    np.testing.assert_array_equal(single["environment_state"], shared["environment_state"])
    np.testing.assert_array_equal(reward, reward_there)
    assert gymnasium.make("Elsewhere/Wave-v0", tier="kinematic").unwrapped.task == "wave"


def test_a_task_and_a_feature_of_an_installed_package_are_found(kit):
    text = TASK_FILE.read_text().replace("wave_angle", "elsewhere_angle").replace('name="wave"', 'name="elsewhere"')
    angle = 'Feature("elsewhere_angle", "rad", -3.0, 3.0, "where the right antenna should be")'
    lines = text.splitlines(keepends=True)
    task = "".join(line for line in lines if angle not in line).replace(
        "features=register_features(", 'features=("elsewhere_angle",) + register_features('
    )
    before = install(
        kit.folder / "site",
        "[reachy_kit.tasks]\nelsewhere = elsewhere_task:SPEC\n[reachy_kit.features]\n"
        "elsewhere_angle = elsewhere_feature:ANGLE\n",
        elsewhere_task=task,
        elsewhere_feature=f"from reachy_kit.runtime.perception.features import Feature\nANGLE = {angle}\n",
    )
    evaluated = kit.run("eval", "expert", "--task", "elsewhere", "--episodes", 2, "--json", before=before)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["evaluations"][0]["success"]["value"] == 1.0


def test_a_broken_package_stops_its_own_task_only(kit):
    before = install(kit.folder / "site", "[reachy_kit.tasks]\nbroken = not_there:SPEC\n")
    kit.run("eval", "expert", "--task", "broken", before=before).says(2, "broken", "not_there")
    fine = kit.run("eval", "expert", "--task", "look_at", "--episodes", 1, "--json", before=before)
    assert fine.code == 0, fine.err


@pytest.fixture(scope="session")
def heard_bundle(make_once):
    """The bundle of a sound task, barely trained."""
    from reachy_kit.workflows.training.train_rl import train_rl
    from reachy_policies.onnx_export import export_bundle
    from reachy_policies.runs.saved_run import open_run

    settings = {"iterations": 1, "num_envs": 4, "eval_episodes": 4, "batch_size": 16}

    def make(task: str) -> Path:
        run = make_once(
            f"heard/{task}",
            lambda path: train_rl(path, task=task, init=None, method="scratch", settings=dict(settings)),
        )
        return make_once(f"exported/{task}.bundle", lambda path: export_bundle(open_run(run), path))

    return make


BUNDLES = (
    ("sound_orient", ["rad", "1", "1", "s"], "bearing error"),
    ("dance", ["1", "1", "Hz", "1", "s"], "phase error"),
)


@pytest.mark.parametrize(
    ("task", "units", "error"),
    [BUNDLES[0], pytest.param(*BUNDLES[1], marks=pytest.mark.long)],
    ids=[task for task, *_ in BUNDLES],
)
def test_what_is_heard_is_exported_and_runs_in_the_simulator(kit, heard_bundle, task, units, error):
    bundle = heard_bundle(task)
    assert manifest_of(bundle)["environment_state_units"] == units
    ran = kit.run("run", bundle, "--robot", "sim")
    assert error in ran.out, ran
    kit.run("run", bundle, "--robot", "localhost:1").says(3, "no Reachy Mini daemon answers at localhost:1")
    kit.run("run", bundle, "--robot", "sim", "--perception", "detector").says(2, "--perception geometry")


@pytest.mark.long
@pytest.mark.parametrize("task", ["sound_orient", "dance"])
def test_what_is_heard_runs_on_the_daemon(kit, heard_bundle, task):
    ran = kit.run("run", heard_bundle(task), "--robot", "daemon", "--seconds", 1)
    assert ran.code == 0, ran.err
    assert "episode 0" in ran.out


def test_a_dance_is_evaluated_by_its_phase(kit):
    assert "phase error" in kit.run("eval", "expert", "--task", "dance", "--episodes", 1).out
