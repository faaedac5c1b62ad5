"""The commands in the READMEs work as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reachy_kit.cli.demo import DURATION

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent


def commands(readme: Path) -> list[str]:
    """The reachy-kit lines of a README's bash blocks, in order; those with a placeholder in capitals are for people."""
    blocks = re.findall(r"```bash\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if "reachy-kit" in line and not re.search(r"\b[A-Z]{2,}\b", line)]


@pytest.mark.timeout(600)
@pytest.mark.long
@pytest.mark.parametrize("readme", ["README.md", "sim/README.md"])
def test_the_commands_of_a_readme_work_one_after_the_other(readme, tmp_path):
    lines = commands(ROOT / readme)
    assert lines, "the README shows at least one command"
    for line in lines:
        words = shlex.split(line)
        assert words[0] == ".venv/bin/reachy-kit"
        done = subprocess.run(
            [str(SCRIPTS / "reachy-kit"), *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert targets
    assert targets <= known


def test_every_file_that_a_readme_points_to_exists():
    for readme in [ROOT / "README.md", *ROOT.glob("*/README.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", readme.read_text()):
            assert (readme.parent / link).exists(), f"{readme.relative_to(ROOT)} points to {link}"


def test_help_and_pages_agree_on_the_demos_duration():
    page = subprocess.run([SCRIPTS / "reachy-kit", "demo", "--help"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"(\w+) minutes", page) == re.findall(r"(\w+) minutes", DURATION)
    for text in (page, *((ROOT / name).read_text() for name in ("README.md", "lessons/README.md"))):
        assert DURATION.lower() in " ".join(text.split()).lower()
