"""The simulator's reports as commands: help, and options that do not fit."""

import importlib

import pytest

REPORTS = {
    "rendering.target_gallery": [],
    "rendering.visuals_gallery": [],
    "sensing.detector_report": ["--frames", "49"],
    "sensing.hearing_report": ["--sentences", "0"],
    "sysid.fidelity": ["--actuators", "motors.json"],
    "view.task_images": ["track", "--every", "0.01"],
}
"""Module → options that do not fit."""


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a report; returns its exit code and what it printed to standard output and to standard error."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        report = importlib.import_module(f"reachy_sim.{name}")
        monkeypatch.setattr("sys.argv", [name, *arguments])
        with pytest.raises(SystemExit) as ended:
            report.main()
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_explains_its_options(name, run):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert "--out" in out
    assert "default: runs/" in " ".join(out.split())


@pytest.mark.parametrize("name", [name for name, wrong in REPORTS.items() if wrong])
def test_options_that_do_not_fit_are_wrong_use(name, run, tmp_path):
    code, _, err = run(name, *REPORTS[name])
    assert code == 2
    assert f"error: {REPORTS[name][-2]}" in err
    assert list(tmp_path.iterdir()) == []


def test_a_target_and_a_task_that_do_not_exist(run, tmp_path):
    for name, arguments in (("sensing.detector_report", ["--target", "unicorn"]), ("view.task_images", ["juggle"])):
        code, _, err = run(name, *arguments)
        assert code == 2
        assert arguments[-1] in err.splitlines()[-1]
        assert err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []
