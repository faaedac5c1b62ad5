"""`make setup`: what it does on machines unlike this one, and that it does nothing when there is nothing to do.

The set-up script runs for real, in a copy of the checkout whose PATH holds stand-ins for what would change the machine
(apt-get, sudo, uv) and for what describes it (id, uname, dpkg-query). Each stand-in writes down how it was called.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
STAMP = Path(".venv", ".reachy-setup")
FILES = ("Makefile", ".ci/setup", "pyproject.toml", "constraints.txt")
TOOLS = "basename bash cat comm cp dirname echo env find flock grep ln make mkdir mv rm sh sort stat tail touch xargs"

RECORDED = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'
UV = (
    RECORDED
    + f"""
case "$*" in
  "venv --help") echo "--clear" ;;
  venv*)
    for folder; do :; done  # the last argument
    rm -rf "$folder" && mkdir -p "$folder/bin" && ln -s "{sys.executable}" "$folder/bin/python"
    echo "VIRTUAL_ENV='$folder'" > "$folder/bin/activate" ;;
  "pip install"*) test ! -e "$CALLS.break-uv" ;;
esac
"""
)


class Machine:
    """A checkout in a folder of its own, and a PATH on which the test decides what there is."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin, self.log = folder / "checkout", folder / "bin", folder / "calls"
        self.bin.mkdir()
        for name in FILES:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        for tool in TOOLS.split():
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)
        self.env = {"PATH": str(self.bin), "HOME": str(folder), "CALLS": str(self.log)}
        self.has("uname", "#!/bin/sh\necho Linux\n")
        self.has("uv", UV)
        self.has("apt-get", RECORDED)
        self.has("apt-cache", "#!/bin/sh\n")
        self.installed(except_for="nothing")
        self.user(root=False)

    def has(self, command: str, script: str) -> None:
        (self.bin / command).unlink(missing_ok=True)  # a link to the machine's own
        (self.bin / command).write_text(script)
        (self.bin / command).chmod(0o755)

    def installed(self, *, except_for: str) -> None:
        self.has("dpkg-query", f'#!/bin/sh\ncase "$*" in *{except_for}*) exit 1 ;; *) echo installed ;; esac\n')

    def user(self, *, root: bool) -> None:
        self.has("id", f"#!/bin/sh\necho {0 if root else 1000}\n")
        self.has("sudo", RECORDED + "exit 1\n")  # it would ask for a password

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(["make", *arguments], self.checkout, self.env)

    def calls(self, command: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(command)]

    @property
    def is_done(self) -> bool:
        return run([".ci/setup", "--check-done"], self.checkout, self.env).returncode == 0

    @property
    def installs(self) -> int:
        return len(self.calls("uv pip install"))


def run(command: list[str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=env, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=240
    )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def python_stand_in(path: Path, minor: int) -> Path:
    """A command that answers as Python 3.`minor` would, wherever it really runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    disguise = (
        f"import sys; sys.version_info = (3, {minor}, 1); sys.executable = sys._base_executable = '{path}'; "
        "program = sys.argv[2]; sys.argv[:] = sys.argv[1:2] + sys.argv[3:]; exec(program)"
    )
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{disguise}" "$@"\n')
    path.chmod(0o755)
    return path


# --- this checkout -----------------------------------------------------------------------------------------------


def test_a_second_setup_of_this_checkout_does_nothing():
    stamp = ROOT / STAMP
    if not stamp.exists() or any((ROOT / name).stat().st_mtime > stamp.stat().st_mtime for name in FILES[1:]):
        pytest.skip("this checkout's .venv was not made by `make setup`, or not since the last change")
    if f"{ROOT}/.venv" not in (ROOT / ".venv/bin/activate").read_text():
        pytest.skip("this checkout was moved or copied with its .venv")
    before = stamp.read_text()
    mode = before.splitlines()[0]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SIM_ONLY"))}

    assert run([".ci/setup", "--check-done"], ROOT, env).returncode == 0, "it would install, under this very test"
    result = run(["make", "setup", f"SIM_ONLY={int(mode == 'sim')}"], ROOT, env)

    assert result.returncode == 0, result.stderr
    assert "nothing to do" in result.stderr
    assert stamp.read_text() == before


def test_no_file_of_the_setup_names_a_host():
    for name in ("Makefile", ".ci/setup", ".ci/run", "constraints.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(r"\w+://|--(extra-)?index|--find-links|@ *git\+", text), name


def extras(*, without: str = "") -> str:
    """The extras of pyproject.toml, as they are asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"[{','.join(name for name in project['optional-dependencies'] if name != without)}]"


def pins() -> dict[str, list[str]]:
    """Name → the versions pinned for it; several where markers tell platforms apart."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            pin = re.fullmatch(r"([a-z0-9-]+)==([0-9][\w.]*)( ; [^/]+)?", line)
            assert pin, f"not a plain pin: {line}"
            found.setdefault(pin[1], []).append(pin[2])
    return found


def test_the_versions_others_rely_on_are_pinned():
    assert {name: pins()[name] for name in ("mujoco", "reachy-mini", "lerobot")} == {
        "mujoco": ["3.14.0"],
        "reachy-mini": ["1.13.0"],
        "lerobot": ["0.6.1"],
    }


def test_every_dependency_of_the_project_is_pinned_to_a_version_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    for requirement in (Requirement(text) for group in groups for text in group):
        versions = pins().get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not in constraints.txt: make constraints"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: make constraints"


def test_the_readme_installs_every_extra_where_there_is_no_make():
    [command] = re.findall(r"uv pip install -e \"\.(\[.+?\])\"", (ROOT / "README.md").read_text())
    assert command == extras()


def test_the_readme_explains_every_extra_once():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("| extra | for |") :].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[3:]]  # below the heading, and below "(none)"
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == extras()[1:-1].split(",")


# --- other machines ----------------------------------------------------------------------------------------------


def test_without_root_a_missing_package_is_named_with_the_command_that_installs_it(machine):
    machine.installed(except_for="libportaudio2")

    result = machine.make("setup")

    assert result.returncode != 0
    assert result.stderr.count("apt-get install") == 1
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends libportaudio2\n" in result.stderr
    assert "make setup SIM_ONLY=1" in result.stderr
    assert not machine.calls("apt-get")
    assert not (machine.checkout / ".venv").exists()


def test_root_installs_only_the_missing_package(machine):
    machine.installed(except_for="libportaudio2")
    machine.user(root=True)

    result = machine.make("setup")

    assert result.returncode == 0, result.stderr
    assert machine.calls("apt-get") == [
        "apt-get update",
        "apt-get install -y --no-install-recommends libportaudio2",
    ]


def test_apt_is_not_called_on_a_complete_machine(machine):
    machine.user(root=True)

    assert machine.make("setup").returncode == 0
    assert not machine.calls("apt-get")


def test_sim_only_asks_for_no_package_and_leaves_out_the_sdk(machine):
    machine.installed(except_for="libportaudio2")
    machine.user(root=True)

    result = machine.make("setup", "SIM_ONLY=1")

    assert result.returncode == 0, result.stderr
    assert not machine.calls("apt-get")
    packages, model_files = machine.calls("uv pip install")
    assert f".{extras(without='robot')} " in packages
    assert "--no-deps reachy-mini" in model_files
    assert "-c constraints.txt" in model_files


def test_pyenv_is_searched_when_path_has_only_an_older_python(machine, tmp_path):
    python_stand_in(machine.bin / "python3", minor=11)
    python_stand_in(tmp_path / ".pyenv/versions/3.9.18/bin/python3", minor=9)
    newer = python_stand_in(tmp_path / ".pyenv/versions/3.13.0/bin/python3", minor=13)
    preferred = python_stand_in(tmp_path / ".pyenv/versions/3.12.1/bin/python3", minor=12)
    ask = [str(machine.checkout / ".ci/setup"), "--print-python"]
    env = machine.env | {"SIM_ONLY": "1"}  # the stand-ins have no headers to compile against

    assert run(ask, machine.checkout, env).stdout.strip() == str(preferred)
    preferred.unlink()
    assert run(ask, machine.checkout, env).stdout.strip() == str(newer)
    newer.unlink()
    assert run(ask, machine.checkout, env).returncode != 0


def test_pyenv_stand_ins_that_refuse_are_passed_over(machine, tmp_path):
    machine.has("python3.12", "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    python = python_stand_in(tmp_path / "elsewhere/versions/3.12.1/bin/python3", minor=12)
    env = machine.env | {"SIM_ONLY": "1", "PYENV_ROOT": str(tmp_path / "elsewhere")}

    result = run([str(machine.checkout / ".ci/setup"), "--print-python"], machine.checkout, env)

    assert result.stdout.strip() == str(python)


def test_a_uv_of_its_own_is_installed_and_named_in_a_checkout_that_was_never_set_up(machine):
    uv = machine.bin / "uv"
    kept = uv.rename(machine.bin / "another-uv")
    machine.has(
        "python3",
        f"""#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"pip install"*) cp "{kept}" "$(dirname "$0")/uv" ;;
  *) exit 1 ;;
esac
""",
    )
    named = run([str(machine.checkout / ".ci/setup"), "--print-uv"], machine.checkout, machine.env)
    assert named.returncode == 0, named.stderr
    assert named.stdout == f"{machine.checkout}/.setup/uv/bin/uv\n"


def test_what_root_makes_belongs_to_whom_the_checkout_belongs(machine):
    machine.user(root=True)
    machine.has("stat", "#!/bin/sh\necho 12345\n")
    machine.has("chown", RECORDED)
    assert machine.make("setup").returncode == 0
    [given] = machine.calls("chown")
    assert given.startswith("chown -h --reference=. .venv .venv/.reachy-setup")
    assert " .setup/log" in given


# --- again, and again --------------------------------------------------------------------------------------------


def edit_pins(machine: Machine) -> None:
    with (machine.checkout / "constraints.txt").open("a") as file:
        file.write("# changed\n")


def lose_the_interpreter(machine: Machine) -> None:
    (machine.checkout / ".venv/bin/python").unlink()


def move_the_checkout(machine: Machine) -> None:
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))


@pytest.mark.parametrize("happens", [edit_pins, lose_the_interpreter, move_the_checkout])
def test_setup_is_redone_after(happens, machine):
    machine.make("setup")
    assert "nothing to do" in machine.make("setup").stderr
    assert machine.installs == 1
    assert machine.is_done

    happens(machine)

    assert not machine.is_done
    assert machine.installs == 1
    assert "set-up done" in machine.make("setup").stderr
    assert machine.installs == 2
    assert "nothing to do" in machine.make("setup").stderr


def test_setup_cut_short_is_taken_up_again(machine):
    broken = Path(f"{machine.log}.break-uv")
    broken.touch()
    assert machine.make("setup").returncode != 0
    assert not (machine.checkout / STAMP).exists()

    broken.unlink()

    assert "set-up done" in machine.make("setup").stderr


def test_the_two_modes_replace_each_other_and_only_setup_changes_them(machine):
    machine.make("setup", "SIM_ONLY=1")
    machine.make("demo")  # has nothing to run here, but sees to the set-up first
    assert (machine.checkout / STAMP).read_text().startswith("sim\n")

    machine.make("setup")
    assert (machine.checkout / STAMP).read_text().startswith("full\n")
    assert f".{extras()} " in machine.calls("uv pip install")[-1]


@pytest.mark.parametrize(
    ("target", "chosen"),
    [("test", "not long and not soak and not media"), ("test-all", "not soak and not media"), ("soak", "soak")],
)
def test_each_target_runs_its_tests(target, chosen, machine):
    machine.make("setup")
    python = machine.checkout / ".venv/bin/python"
    machine.has(
        "pytest-stand-in",
        f'#!/bin/sh\ncase "$*" in *pytest*) echo "python $*" >> "$CALLS" ;; *) exec "{sys.executable}" "$@" ;; esac\n',
    )
    python.unlink()
    python.symlink_to(machine.bin / "pytest-stand-in")

    assert machine.make(target).returncode == 0
    [call] = machine.calls("python -m pytest")
    assert call.endswith(f"-m {chosen}")
