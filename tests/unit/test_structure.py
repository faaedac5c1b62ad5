"""Structure of the repository: files and folders are as ARCHITECTURE.md describes them."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("reachy_kit", "sim/reachy_sim", "policies/reachy_policies")
LONGEST, LONGEST_FUNCTION = 500, 80
MODULES_IN_A_FOLDER = 12


def modules() -> list[Path]:
    """Every module of the three packages, relative to the checkout; the plugin is a distribution of its own."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [path.relative_to(ROOT) for path in paths if "lerobot_plugin" not in path.parts]


def is_command_and_workflow(folders: set[str]) -> bool:
    """Whether a name is that of a command and of what it does."""
    return len(folders) == 2 and "reachy_kit/cli" in folders and any("/workflows" in folder for folder in folders)


def test_module_names_are_unique():
    folders = defaultdict(set)
    for module in modules():
        if module.stem != "__init__" and module.parts[:2] != ("reachy_kit", "cli"):  # a command has its workflow's name
            folders[module.stem].add(module.parent.as_posix())
    assert {stem: where for stem, where in folders.items() if len(where) > 1} == {}


def test_a_command_that_shares_a_name_is_the_face_of_its_workflow():
    stems = defaultdict(list)
    for module in modules():
        stems[module.stem].append(module)
    for command in (module for module in modules() if module.parts[:2] == ("reachy_kit", "cli")):
        if command.stem != "__init__":
            others = [module for module in stems[command.stem] if module != command]
            assert all(module.parts[:2] == ("reachy_kit", "workflows") for module in others), (command, others)


def test_no_module_is_long():
    lines = {module.as_posix(): (ROOT / module).read_text().count("\n") for module in modules()}
    assert [name for name, count in lines.items() if count > LONGEST] == []


def test_every_function_fits_on_a_screen():
    long = []
    for module in modules():
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{module}: {node.name}, {lines} lines"] if lines > LONGEST_FUNCTION else []
    assert long == []


def test_no_folder_has_more_than_a_dozen_modules():
    counts: dict[str, int] = defaultdict(int)
    for module in modules():
        counts[module.parent.as_posix()] += module.stem != "__init__"
    crowded = {folder: count for folder, count in counts.items() if count > MODULES_IN_A_FOLDER}
    assert crowded == {}
