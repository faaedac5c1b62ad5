"""The command line: its commands, its help, its exit codes, and JSON that a script can read."""

import pytest

VERBS = ("demo", "record", "replay", "dataset", "train", "eval", "export", "run", "view", "sysid")


def test_help_lists_the_verbs(kit):
    result = kit.run_script("--help")
    assert result.code == 0
    assert not result.err
    for verb in VERBS:
        assert f"  {verb} " in result.out


@pytest.mark.parametrize("verb", [*[(verb,) for verb in VERBS], ("train", "imitation")], ids="-".join)
def test_the_help_of_every_verb_shows_an_example(verb, kit):
    result = kit.run(*verb, "--help")
    assert result.code == 0
    assert f"Example: reachy-kit {verb[0]}" in result.out


@pytest.mark.parametrize("arguments", [("dance",), ("record", "--dance"), ("replay",), ("train", "reinforce")])
def test_what_does_not_exist_is_wrong_use(arguments, kit):
    result = kit.run(*arguments)
    assert result.code == 2
    assert "Usage: reachy-kit" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("record", "--episodes", 1, "--hz", 10, "--camera", "--out", "data"),
        ("eval", "expert", "--episodes", 1),
        ("view", "--seconds", 0.2, "--out", "film.mp4"),
        ("run", "no.bundle"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_interpreter_shuts_down_without_a_word(arguments, kit):
    result = kit.run(*arguments, whole_shutdown=True)
    assert result.code == (2 if "no.bundle" in arguments else 0), result
    for word in ("Exception ignored", "Fatal", "Traceback"):
        assert word not in result.err


def test_version(kit):
    assert kit.run("--version").out.startswith("reachy-kit 0.")


def test_debug_shows_where_an_error_comes_from_wherever_it_stands(kit):
    for arguments in (("--debug", "run", "no.bundle"), ("run", "no.bundle", "--debug")):
        result = kit.run(*arguments)
        assert result.code == 2
        assert "Traceback" in result.err
        assert "error: no.bundle does not exist" in result.err


def test_eval_prints_json_that_pairs_up(kit, bundle_path):
    result = kit.run("eval", bundle_path, "expert", "--episodes", 3, "--seed", 7, "--json")
    assert result.code == 0
    bundle, expert = result.json["evaluations"]
    assert result.json["task"] == "look_at"
    assert (bundle["policy"], expert["policy"]) == (bundle_path.name, "expert")
    for one in (bundle, expert):
        assert one["robot"] == "sim"
        assert one["episodes"] == 3
        assert one["seeds"] == [7, 8, 9]
        assert one["success"]["low"] <= one["success"]["value"] <= one["success"]["high"]
        assert sum(one["successes"]) == round(3 * one["success"]["value"])
        low, high = one["error"]["quartiles"]
        assert 0 < low <= one["error"]["median"] <= high
        assert {"p50", "p99"} == one["work_ms"].keys()
        assert one["rate"] is None  # simulated time is never late
    [compared] = result.json["compared_with_first"]
    assert compared["pairs"] == 3
    assert compared["difference"]["value"] == pytest.approx(expert["success"]["value"] - bundle["success"]["value"])


def test_eval_pairs_the_daemon_with_the_simulator(kit, daemon):
    result = kit.run(
        "eval", "expert", "--robot", "daemon", "--against", "sim", "--episodes", 1, "--seed", 3, "--json",
        before=daemon.as_default,
    )  # fmt: skip
    assert result.code == 0, result
    there, here = result.json["evaluations"]
    assert (there["seeds"], here["seeds"]) == ([3], [3])
    assert (there["robot"].startswith("127.0.0.1:"), here["robot"]) == (True, "sim")
    (compared,) = result.json["compared_with_robot"]
    assert compared["pairs"] == 1
    assert compared["difference"]["value"] == there["successes"][0] - here["successes"][0]


def test_eval_of_the_same_seeds_is_the_same_again(kit):
    first, again = (kit.run("eval", "expert", "--episodes", 2, "--json").json["evaluations"][0] for _ in range(2))
    assert first["error"] == again["error"]


def test_run_prints_json_that_says_what_happened(kit, bundle_path):
    result = kit.run("run", bundle_path, "--robot", "sim", "--episodes", 2, "--seconds", 1, "--json")
    assert result.code == 0
    assert len(result.json["successes"]) == len(result.json["error"]["episodes"]) == 2
    assert result.json["rate"] is None  # simulated time is never late


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "no.bundle"),
        ("eval", "nobody"),
        ("export", "no-run", "--out", "x.bundle"),
        ("train", "imitation", "--dataset", "no-data", "--out", "run"),
        ("train", "rl", "--task", "juggle", "--out", "run", "--method", "scratch"),
        ("record", "--out", "data", "--task", "juggle"),
        ("sysid", "--robot", "127.0.0.1:9", "--yes"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_with_json_an_error_leaves_standard_output_to_json_alone(arguments, kit):
    result = kit.run(*arguments, "--json")
    assert result.code in (2, 3)
    assert result.out == ""
    assert "error: " in result.err
