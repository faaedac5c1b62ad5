"""Commands in messages, pasted into a shell as they are printed: each does what its message says.

A case names the function that composes its command. The last tests find every such function in the sources: a new hint
without a case fails, and so does a command that is written into a message by hand.
"""

import ast
import html
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.schema import OPERATOR
from reachy_sim.sysid.motor_recording import MotorRecording

from ..commands.command import Kit
from .older_format import write_v21
from .saved_episodes import STATE, episode

ROOT = Path(__file__).parents[2]
VERBS = "demo|record|teleop|replay|dataset [a-z-]+|train (?:imitation|rl)|eval|export|run|sysid|top|view"
SHORT_FIT = ("--set", "max_steps=50", "--set", "eval_every=50")
SHORT_RL = ("--set", "num_envs=4", "--set", "eval_episodes=4", "--set", "batch_size=16")

COVERED: set[str] = set()
COVERED_ELSEWHERE = {
    "pull.pull": "test_dataset_sharing.py::test_a_dataset_is_pulled_and_shown",
    "remedies.drop_command": "dataset_check/test_command.py::test_the_command_shows_findings_and_ends_with_a_code",
    "remedies.fix_command": "dataset_check/test_fixes.py::test_the_command_that_mends_is_pasted",
    "remedies.label_command": "dataset_check/test_fixes.py::test_what_has_no_words_gets_them",
    "remedies.trim_command": "dataset_check/test_fixes.py::test_the_command_that_trims_is_pasted",
    "sysid.measure_motors": "test_sysid.py::test_the_simulator_is_identified_as_it_is",
    "top.watching_command": "test_top.py::test_a_run_publishes_and_top_shows_it",
}
"""Functions that compose a command, by the test that pastes it or looks at it word by word."""


def pastes(*composers):
    """Marks a test that pastes the commands of some functions, given as MODULE.FUNCTION."""
    COVERED.update(composers)
    return lambda test: test


@pytest.fixture
def kit(tmp_path, warm):
    """`reachy-kit`, in a folder that a shell takes apart unless it is quoted."""
    folder = tmp_path / "it's Anna's"
    folder.mkdir()
    commands = Kit(folder, warm)
    yield commands
    commands.end()


@pytest.fixture
def paste(kit, tmp_path):
    """Pastes the command at the end of a text into bash, and runs what bash makes of it.

    Capital words stand for what only a reader knows; a case says what they are. Further arguments come after those of
    the command, to make its work shorter: of an option that is given twice, the last counts.
    """
    program = tmp_path / "bin/reachy-kit"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$ARGUMENTS"\n')
    program.chmod(0o755)

    def run(text, *more, **placeholders):
        line = command_in(text)
        for name, value in placeholders.items():
            assert re.search(rf"\b{name}\b", line), f"{name} is not in: {line}"
            line = re.sub(rf"\b{name}\b", lambda _, value=value: shlex.quote(str(value)), line)
        received = tmp_path / "arguments"
        path = f"{program.parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "ARGUMENTS": str(received)}
        subprocess.run(["bash", "-c", line], cwd=kit.folder, env=environment, check=True)
        arguments = received.read_text().split("\0")[:-1]
        assert not [word for word in arguments if re.fullmatch(r"[A-Z]{2,}", word)], f"to be replaced: {line}"
        return kit.start(*arguments, *more).wait(240)

    return run


def command_in(text: str) -> str:
    """The last command in a text, up to the end of its line or the closing backtick."""
    commands = re.findall(rf"`(reachy-kit (?:{VERBS})\b[^`\n]*)`|(?<!a )(reachy-kit (?:{VERBS})\b[^\n]*)", text)
    assert commands, f"no command in: {text}"
    return "".join(commands[-1])


# --- from a recording to an evaluation ---------------------------------------------------------------------------


@pastes("record.record", "committed_files.continue_command", "training_output.show_imitation", "run_card.markdown")
@pytest.mark.timeout(600)
def test_each_step_names_the_next(kit, paste):
    recorded = kit.run("record", "--out", "my data", "--episodes", 1)
    assert recorded.code == 0, recorded
    few = paste(recorded.out, *SHORT_FIT)
    assert few.code != 0, "one episode is not enough"
    more = paste(few.err, "--episodes", 3)
    assert "3 episodes in my data" in more.out, more
    trained = paste(more.out, *SHORT_FIT)
    assert trained.code == 0, trained
    evaluated = paste(trained.out, "--episodes", 1)
    assert "my data" in evaluated.out
    run = kit.folder / "runs/my data"
    kit.folder = run  # its page is read there
    assert paste((run / "README.md").read_text(), "--episodes", 1).code == 0


@pastes("record.record")
def test_a_recording_in_the_folder_of_runs_is_not_trained_over(kit, paste):
    recorded = kit.run("record", "--out", "runs/it", "--episodes", 3)
    trained = paste(recorded.out, *SHORT_FIT)
    assert trained.code == 0, trained
    assert "runs/it-2" in trained.out


@pastes("training_output.show_imitation")
def test_a_policy_for_another_variant_is_evaluated_there(kit, paste):
    assert kit.run("record", "--out", "data", "--variant", "sluggish", "--episodes", 3).code == 0
    trained = kit.run("train", "imitation", "--dataset", "data", "--out", "run", *SHORT_FIT)
    assert "--variant sluggish" in trained.out
    assert "look_at, sluggish," in paste(trained.out, "--episodes", 1).out


@pastes("export._next_command")
def test_an_exported_bundle_is_run(kit, paste, trained_run):
    exported = kit.run("export", trained_run.path, "--out", "it's.bundle")
    assert exported.code == 0, exported
    assert "episode 0" in paste(exported.out, "--seconds", 0.2, "--robot", "sim").out


@pastes("training_output.show_reinforcement", "training_output.show_seeds")
@pytest.mark.long
def test_what_follows_reinforcement_learning_and_several_seeds(kit, paste, trained_run, recorded_dataset):
    rl = ("train", "rl", "--init", trained_run.path, "--task", "look_at", "--iterations", 1, *SHORT_RL)
    improved = kit.start(*rl, "--out", "it's rl").wait(240)
    assert improved.code == 0, improved
    assert "expert" in paste(improved.out, "--episodes", 1).out
    seeds = ("train", "imitation", "--dataset", recorded_dataset, "--out", "it's many", "--seeds", 2, *SHORT_FIT)
    several = kit.start(*seeds).wait(240)
    assert several.code == 0, several
    assert "it's many" in paste(several.out, "--episodes", 1, "--variants", "sluggish", "--tier", "kinematic").out


@pastes("evaluate._compare")
def test_a_page_names_the_command_that_made_it(kit, paste, trained_run):
    shutil.copytree(trained_run.path, kit.folder / "Anna's run")
    arguments = ("eval", "A=Anna's run", "--tier", "kinematic", "--episodes", 2, "--films", 0, "--html", "it's.html")
    assert kit.run(*arguments).code == 0
    page = kit.folder / "it's.html"
    text = html.unescape(re.sub(r"<[^>]*>", "\n", page.read_text()))
    page.unlink()
    assert paste(text).code == 0
    assert page.is_file()


@pastes("demo._show")
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_demo_ends_with_a_bundle_to_run(kit, paste):
    size = ("--episodes", 4, "--sim-episodes", 2, "--daemon-episodes", 1, "--iterations", 2)
    shown = kit.start("demo", *size, "--out", "it's a demo").wait(400)
    assert shown.code == 0, shown
    assert "episode 0" in paste(shown.out, "--seconds", 0.2, HOST="sim").out


# --- care of datasets --------------------------------------------------------------------------------------------


@pastes("edit_options.show_edited", "show_dataset._show", "train_imitation._only")
def test_an_edited_dataset_is_shown_and_two_are_merged_for_dagger(kit, paste, recorded_dataset):
    for name in ("Anna's data", "more"):
        shutil.copytree(recorded_dataset, kit.folder / name)
    dropped = kit.run("dataset", "drop", "Anna's data", "0")
    shown = paste(dropped.out)
    assert "7 episodes" in shown.out, shown
    assert paste(shown.out).code == 0
    assert (kit.folder / "episode-0.png").is_file()
    both = ("--dataset", "Anna's data", "--dataset", "more")
    refused = kit.run("train", "imitation", *both, "--dagger", 1, "--out", "run")
    assert refused.code == 2, refused
    merged = paste(refused.err)
    assert "15 episodes" in merged.out, merged


@pastes("dataset_index.read_info", "convert.convert")
def test_a_dataset_of_the_older_format_is_converted(kit, paste, recorded_dataset):
    write_v21(kit.folder / "Anna's old data", recorded_dataset)
    refused = kit.run("dataset", "show", "Anna's old data")
    assert refused.code == 4, refused
    converted = paste(refused.err)
    assert converted.code == 0, converted
    assert "8 episodes" in paste(converted.out).out


@pastes("recorded_videos._camera_of")
def test_single_images_are_converted_to_videos(kit, paste, recorded_dataset, write_foreign):
    write_foreign(kit.folder / "Anna's images", recorded_dataset, camera="front", videos=False, episodes=2)
    train = ("train", "imitation", "--out", "run", "--obs-type", "pixels", "--task", "look_at", *SHORT_FIT)
    refused = kit.run(*train, "--dataset", "Anna's images")
    assert refused.code == 4, refused
    converted = paste(refused.err, "--task", "look_at")
    assert converted.code == 0, converted
    assert "observation.images.head" in paste(converted.out).out


@pastes("dataset_forgetting._forget", "dataset_forgetting._rewrite")
def test_a_person_whose_episodes_are_all_there_is(kit, paste):
    with LeRobotWriter(kit.folder / "Anna's data", STATE) as writer:
        for index in range(2):
            frames = episode(index)
            for frame in frames:
                frame[OPERATOR] = np.array(["night-owl"])
            writer.write(frames, EpisodeLabels("Look at night-owl."))
    everything = kit.run("dataset", "forget", "night-owl", "Anna's data")
    assert everything.code == 2, everything
    named = paste(everything.err)
    assert named.code == 4, named
    assert paste(named.err, TEXT="Look at me.").code == 0
    assert paste(everything.err).code == 0


# --- errors ------------------------------------------------------------------------------------------------------


@pastes("run_files.training_command")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("eval", "Anna's run"), marks=pytest.mark.long),
        ("eval", "A=Anna's run"),
        pytest.param(("export", "Anna's run", "--out", "x.bundle"), marks=pytest.mark.long),
        pytest.param(
            ("train", "rl", "--init", "Anna's run", "--task", "look_at", "--out", "rl"), marks=pytest.mark.long
        ),
    ],
    ids=lambda command: "-".join(command[:2]).replace("Anna's ", ""),
)
def test_a_run_that_does_not_exist(command, kit, paste, recorded_dataset):
    refused = kit.run(*command)
    assert refused.code == 2, refused
    trained = paste(refused.err, *SHORT_FIT, DATASET=recorded_dataset)
    assert trained.code == 0, trained
    assert (kit.folder / "Anna's run/card.json").is_file()


@pastes("run_files.training_command")
def test_a_folder_without_runs_and_a_dataset_where_a_run_is_wanted(kit, paste, recorded_dataset):
    shutil.copytree(recorded_dataset, kit.folder / "Anna's data")
    refused = kit.run("eval", "A=Anna's data")
    assert refused.code == 2, refused
    assert shlex.split(command_in(refused.err))[3:5] == ["--dataset", "Anna's data"]
    trained = paste(refused.err, "--seeds", 0, *SHORT_FIT)
    assert trained.code == 0, trained
    assert (kit.folder / "runs/Anna's data/card.json").is_file()


@pastes("bundle.read_bundle", "bundle._again")
@pytest.mark.parametrize("there", ["nothing", "a file", pytest.param("a folder", marks=pytest.mark.long)])
def test_a_bundle_that_cannot_be_run(there, kit, paste, trained_run):
    if there == "a file":
        (kit.folder / "it's.bundle").write_bytes(b"\x89PNG")
    if there == "a folder":
        (kit.folder / "it's.bundle").mkdir()
    refused = kit.run("run", "it's.bundle", "--robot", "sim")
    assert refused.code in (2, 4)
    exported = paste(refused.err, RUN=trained_run.path)
    assert exported.code == 0, exported
    assert "episode 0" in paste(exported.out, "--seconds", 0.2, "--robot", "sim").out


@pastes("layout.record_command")
@pytest.mark.parametrize(
    "there",
    [
        pytest.param("nothing", marks=pytest.mark.long),
        pytest.param("an empty folder", marks=pytest.mark.long),
        "something else",
    ],
)
def test_a_dataset_that_does_not_exist(there, kit, paste):
    if there != "nothing":
        (kit.folder / "Anna's data").mkdir()
    if there == "something else":
        (kit.folder / "Anna's data/notes.txt").write_text("keep me")
    refused = kit.run("train", "imitation", "--dataset", "Anna's data", "--out", "run")
    assert refused.code == 2, refused
    assert "2 episodes in Anna's data" in paste(refused.err, "--episodes", 2).out


@pastes("actuators.load")
def test_a_file_that_holds_no_motors(kit, paste):
    (kit.folder / "motors").mkdir()
    (kit.folder / "motors/actuators.json").write_text("{}")
    refused = kit.run(
        *("train", "rl", "--method", "scratch", "--task", "look_at", "--out", "rl"),
        *("--randomization", kit.folder / "motors/actuators.json", "--iterations", 1, *SHORT_RL),
    )
    assert refused.code == 4, refused
    paste(refused.err, HOST="127.0.0.1:9").says(3, "no Reachy Mini daemon answers at 127.0.0.1:9")


@pastes("motor_recording.load")
def test_a_file_that_holds_no_recording_of_motors(kit, paste):
    np.savez(kit.folder / "recording.npz", something=np.zeros(3))
    with pytest.raises(RefusedError) as refused:
        MotorRecording.load(kit.folder / "recording.npz")
    paste(str(refused.value), HOST="127.0.0.1:9").says(3, "no Reachy Mini daemon answers at 127.0.0.1:9")


@pastes("moves.moves")
@pytest.mark.long
def test_an_exported_move_is_played(kit, paste, recorded_dataset):
    written = kit.run("dataset", "moves", recorded_dataset, "--episode", 0, "--out", "Anna's moves")
    played = paste(written.out)
    assert "move drove sim for" in played.out, played


@pastes("replay._read_episode")
def test_an_episode_that_is_not_there(kit, paste, recorded_dataset):
    refused = kit.run("replay", recorded_dataset, 8, "--robot", "sim")
    assert "episode 7 of" in paste(refused.err, "--robot", "sim").out


@pytest.mark.long
@pastes("run_output.show_corrections")
def test_a_corrected_policy_is_trained_again(kit, paste, open_terminal, bundle_path, recorded_dataset):
    terminal = open_terminal()
    corrected = kit.start(
        "run", bundle_path, "--robot", "sim", "--teleop", "keyboard", "--out", "by hand", terminal=terminal
    )
    terminal.wait("READY")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* 0\.[3-9] s")
    terminal.press("c", "left")
    terminal.wait(r"RECORDING .* [12]\.\d s")
    terminal.press("enter")
    trained = paste(corrected.wait().out, *SHORT_FIT, DEMONSTRATIONS=recorded_dataset)
    assert "run in runs/by hand" in trained.out, trained


# --- none is left out --------------------------------------------------------------------------------------------

BUILDERS = {"compose_command", "portable_command", "repeat_command"}


def sources():
    for package in ("reachy_kit", "sim/reachy_sim", "policies/reachy_policies"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "shell_command.py" and "lerobot_plugin" not in path.parts:
                yield path, ast.parse(path.read_text())


def composers(tree, inside=""):
    """Names of the functions that call a builder of commands."""
    for node in ast.iter_child_nodes(tree):
        name = node.name if isinstance(node, ast.FunctionDef) else inside
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILDERS:
            yield inside
        yield from composers(node, name)


def test_every_function_that_composes_a_command_has_a_case():
    used = {f"{path.stem}.{name}" for path, tree in sources() for name in composers(tree)}
    assert used == COVERED | COVERED_ELSEWHERE.keys()
    for test in COVERED_ELSEWHERE.values():
        file, name = test.split("::")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text()


def texts(tree):
    """Strings of a module that may reach a screen: all but docstrings and the help of options."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg == "help":
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        yield from texts(node)


def test_no_message_holds_a_command_written_by_hand():
    by_hand = re.compile(
        rf"(?<!a )reachy-kit (?:{VERBS}|train|dataset|…)\b|\bmake (?:setup|demo|test)\b|\bpip install\b"
    )
    allowed = {"installation.py"}  # composes make and pip
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path, tree in sources()
        if path.name not in allowed
        for text in texts(tree)
        if by_hand.search(text)
    ]
    assert found == []
