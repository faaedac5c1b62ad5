"""Commands where the packages of an extra are not installed: one line that says which, and how to install them."""

import json
import tomllib
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

from reachy_kit.cli.reporting.missing_extras import EXTRAS

ROOT = Path(__file__).parents[2]
SCRIPT = "from reachy_kit.cli.main import run_cli; run_cli()"
MODEL_FILES = "--no-deps 'reachy-mini<2,>=1.12'"


@pytest.fixture
def bare(make_environment):
    """The kit's wheel without any extra."""
    environment = make_environment(ROOT)
    environment.add_script("reachy-kit", SCRIPT)
    return environment


@pytest.fixture
def sim_only(make_environment):
    """The kit with the simulator, and the robot's model files without the SDK."""
    environment = make_environment(ROOT, "sim")
    environment.add_script("reachy-kit", SCRIPT)
    environment.link(Requirement("reachy-mini"), alone=True)
    environment.add_script("reachy-mini-daemon", "raise SystemExit('without its dependencies it does not start')")
    return environment


def requirement_with(*extras):
    return f"'reachy-kit[{','.join(extras)}]'"


@pytest.mark.parametrize(
    ("command", "extras"),
    [
        ("demo", ("sim", "train")),
        pytest.param("record --out data", ("sim", "train"), marks=pytest.mark.long),
        pytest.param("train rl --task track --init run --out run_rl", ("sim", "train"), marks=pytest.mark.long),
        ("record --robot daemon --out data", ("sim", "train", "robot")),
        ("eval expert", ("sim",)),
        ("export run --out look_at.bundle", ("train",)),
        pytest.param("sysid", ("sim",), marks=pytest.mark.long),
        ("view --out film.mp4", ("sim", "view")),
    ],
)
def test_without_extras_a_command_names_those_it_needs(command, extras, bare):
    result = bare.run("reachy-kit", *command.split())
    result.says(2, "needs the extra", requirement_with(*extras))
    assert all(extra in result.err.split(": ")[1] for extra in extras)
    assert (MODEL_FILES in result.err) == ("sim" in extras and "robot" not in extras)
    assert [path.name for path in bare.folder.iterdir() if path.name in ("runs", "data", "film.mp4")] == []


def test_training_without_its_extra_on_a_dataset_that_is_there(bare, recorded_dataset, bundle_path):
    train = bare.run("reachy-kit", "train", "imitation", "--dataset", recorded_dataset, "--out", "run")
    train.says(2, "train imitation needs the extra train: ", requirement_with("train"))
    run = bare.run("reachy-kit", "run", bundle_path, "--robot", "sim")
    run.says(2, "run needs the extra sim: ", requirement_with("sim"))
    for robot in (("--robot", "daemon"), ()):  # the default
        daemon = bare.run("reachy-kit", "run", bundle_path, *robot)
        daemon.says(2, "run needs the extras robot and sim: ", requirement_with("robot", "sim"))


def test_an_editable_installation_stays_one(bare):
    (info,) = bare.site.glob("reachy_kit-*.dist-info")
    for editable in (True, False):
        source = {"url": "file:///home/anna/a%20b", "dir_info": {"editable": editable}}
        (info / "direct_url.json").write_text(json.dumps(source))
        result = bare.run("reachy-kit", "eval", "expert")
        result.says(2, f"install --python {bare.python} {'-e ' if editable else ''}'/home/anna/a b[sim]'")


def test_the_simulator_alone_evaluates_and_names_what_other_commands_need(sim_only):
    assert sim_only.run("reachy-kit", "eval", "expert", "--episodes", 1).code == 0
    for command, extra in (
        ("eval expert --variants held-out", "train"),
        ("view --no-browser", "view"),
    ):
        result = sim_only.run("reachy-kit", *command.split())
        result.says(2, f"needs the extra {extra}: ", requirement_with(extra))
        assert MODEL_FILES not in result.err
    daemon = sim_only.run("reachy-kit", "eval", "expert", "--robot", "daemon")
    daemon.says(2, "the robot's daemon is not installed here. Install what is missing: ", requirement_with("robot"))


def test_without_the_robots_model_files_the_simulator_asks_for_them_alone(make_environment):
    environment = make_environment(ROOT, "sim")
    environment.add_script("reachy-kit", SCRIPT)
    result = environment.run("reachy-kit", "eval", "expert")
    install = f"uv pip install --python {environment.python} {MODEL_FILES}"
    result.says(2, f"the robot's model files are not installed here. Install what is missing: {install}")


def test_the_debug_option_still_shows_the_traceback(bare):
    result = bare.run("reachy-kit", "eval", "expert", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err
    assert "ModuleNotFoundError" in result.err
    assert requirement_with("sim") in result.err


def test_every_command_says_which_extras_it_needs():
    from reachy_kit.cli.commands import app

    def verbs(group, before=""):
        for name, command in group.commands.items():
            yield from verbs(command, f"{name} ") if hasattr(command, "commands") else [before + name]

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(verbs(typer.main.get_command(app)))
    assert {extra for needed in EXTRAS.values() for extra in needed} <= set(extras)
