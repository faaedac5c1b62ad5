"""Telemetry of a run: what is measured in the loop, and how it is written and published beside it."""

import contextlib
import http.client
import json
import math
import resource
import stat
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, Observation, TickTiming
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import Limited
from reachy_kit.runtime.telemetry import machine_health
from reachy_kit.runtime.telemetry.exposition import write_exposition
from reachy_kit.runtime.telemetry.machine_health import MachineHealth, read_machine_health
from reachy_kit.runtime.telemetry.metrics_server import STOP_HEADER, MetricsServer, parse_metrics_address
from reachy_kit.runtime.telemetry.publishing import publishing
from reachy_kit.runtime.telemetry.recent_values import WINDOW, RecentValues
from reachy_kit.runtime.telemetry.run_meter import RunMeter
from reachy_kit.runtime.telemetry.run_snapshot import read_snapshot
from reachy_kit.runtime.telemetry.telemetry_log import TelemetryLog
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy

ODD = 'a "quoted" \\ name\nof two lines'


class Clock:
    """The loop's clock, which only the test moves on: a busy computer makes no tick late."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def loop_clock(monkeypatch):
    monkeypatch.setattr("reachy_kit.runtime.rollout.time", CLOCK)


class Robot:
    """Moves at once; its limiter changes what the tick's number says."""

    name, control_hz, state_age = "127.0.0.1:8000", 50, 0.012
    camera_age = 0.04

    def __init__(self, limits=(), slow_tick=None):
        self.ticks, self._limits, self._slow_tick = 0, dict(enumerate(limits)), slow_tick

    def reset(self, pose):
        pass

    def get_observation(self):
        return Observation(NEUTRAL, self.ticks / 50)

    def send_action(self, action):
        self.limited = self._limits.get(self.ticks, Limited(0))
        return action

    def wait_next_tick(self):
        self.ticks += 1
        if self.ticks == self._slow_tick:
            CLOCK.sleep(0.05)


class Still:
    """Stays, and says how long a decision took and how old it is, as a policy beside the loop does."""

    last_inference_seconds, decision_age = 0.0, 0.02

    def reset(self):
        pass

    def act(self, observation):
        self.last_inference_seconds = 0.005 + observation.capture_time / 1000
        return NEUTRAL


class Undecided:
    """Takes 30 ms to decide, never exactly as long as before: a time that stays is that of an earlier decision."""

    def reset(self):
        pass

    def act(self, observation):
        CLOCK.sleep(0.03 + observation.capture_time / 1000)
        return NEUTRAL


def run(meter, robot, policy, seconds=0.4, **options):
    meter.follow(robot, policy, **options)
    rollout(robot, policy, seconds=seconds, policy_hz=25, subscribers=[meter], on_timing=meter.tick)
    return meter.snapshot()


@pytest.fixture
def snapshot():
    return run(RunMeter(ODD), Robot([Limited.SPEED]), Still())


# --- what is measured --------------------------------------------------------------------------------------------


def test_a_run_is_measured_tick_by_tick():
    limits = [Limited.SPEED, Limited.SPEED | Limited.REACH, Limited(0), Limited.NOT_A_NUMBER]
    found = run(RunMeter("run it"), Robot(limits, slow_tick=5), Still())
    assert (found.episodes, found.ticks, found.late_ticks, found.recent_late_ticks) == (1, 20, 1, 1)
    assert {kind: count for kind, count in found.limited.items() if count} == {
        "speed": 2, "reach": 1, "not_a_number": 1,
    }  # fmt: skip
    assert set(found.limited) == {kind.name.lower() for kind in Limited}
    counts = {name: values.count for name, values in found.quantities.items()}
    assert counts == {
        "period": 19, "work": 20, "inference": 10, "decision_age": 10, "camera_age": 10, "state_age": 20,
    }  # fmt: skip
    assert found.quantities["period"].max == pytest.approx(0.05)
    assert found.quantities["camera_age"].max == pytest.approx(0.04)
    assert found.quantities["state_age"].latest == 0.012
    assert found.quantities["inference"].latest == pytest.approx(0.005 + 0.36 / 1000)
    assert found.since_tick is not None and found.since_tick >= 0
    assert (found.robot, found.driver) == ("127.0.0.1:8000", "run it")


def test_a_policy_in_the_loop_is_timed_by_the_loop():
    found = run(RunMeter("run"), Robot(), Undecided())
    assert found.quantities["inference"].count == 10
    assert found.quantities["inference"].p50 == pytest.approx(0.03, abs=0.001)
    assert "decision_age" not in found.quantities


def test_inference_of_a_planner_that_another_policy_asks_is_measured():
    planner = Still()
    meter = RunMeter("run")
    meter.follow(Robot(), Undecided(), planner=planner)
    planner.last_inference_seconds = 0.25
    meter.tick(TickTiming(None, 0.001, 0.002))
    assert meter.snapshot().quantities["inference"].latest == 0.25


def test_simulated_time_is_never_late():
    found = run(RunMeter("run"), Robot(slow_tick=5), Still(), wall_clock=False)
    assert (found.late_ticks, found.recent_late_ticks) == (None, None)


def test_a_pause_is_not_a_late_tick():
    robot, periods = Robot(), []

    def pause(tick):
        if tick.index == 4:
            CLOCK.sleep(0.15)

    def note(timing):
        periods.append(timing.period)

    episode = rollout(robot, Still(), seconds=0.2, policy_hz=50, on_tick=pause, on_timing=note)
    assert [index for index, period in enumerate(periods) if period is None] == [0, 4]
    assert len(episode.periods) == 8
    assert episode.periods.max() == 0.0


def test_the_driver_is_what_the_policy_says_that_it_is():
    policy = Still()
    policy.driving = "look_at"
    assert run(RunMeter("run"), Robot(), policy).driver == "look_at"


def test_watchdogs_that_have_taken_over_are_the_driver():
    class Watchdog:
        patience, error, cause = 2.0, KitError, None

        def begin(self):
            pass

        def trouble(self, tick):
            return self.cause

    watchdog, meter = Watchdog(), RunMeter("run")
    guarded = GuardedPolicy(Still(), [watchdog])
    meter.follow(Robot(), Still(), guard=guarded)
    assert meter.snapshot().driver == "run"
    watchdog.cause = "the camera has stopped"
    rollout(Robot(), guarded, seconds=0.2, policy_hz=25, on_tick=guarded.on_tick, on_timing=meter.tick)
    assert meter.snapshot().driver == "the robot holds still: the camera has stopped"
    first = run_labels(meter)
    watchdog.cause = "the camera has stopped again"
    guarded.reset()
    rollout(Robot(), guarded, seconds=0.2, policy_hz=25, on_tick=guarded.on_tick, on_timing=meter.tick)
    assert meter.snapshot().driver.endswith("again")
    assert run_labels(meter) == first == {"command": "run", "robot": "127.0.0.1:8000", "driver": "holding"}


def run_labels(meter):
    """Labels of what runs, as Prometheus keeps them: each other text is a series of its own."""
    [sample] = families(write_exposition(meter.snapshot()))["reachy_kit_run_info"].samples
    return sample.labels


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_percentiles_are_those_of_the_latest_values(values):
    recent = RecentValues(window=20)
    for value in values:
        recent.add(value)
    found = recent.distribution()
    np.testing.assert_allclose(
        [found.p50, found.p99, found.max], np.percentile(values[-20:], [50, 99, 100]), atol=1e-12
    )
    assert (found.latest, found.count) == (values[-1], len(values))
    assert found.sum == pytest.approx(sum(values))


def test_percentiles_are_those_of_the_last_minute_however_rarely_a_value_comes():
    clock = [0.0]
    recent = RecentValues(now=lambda: clock[0])
    for value in range(100):
        clock[0] = float(value)
        recent.add(value)
    found = recent.distribution()
    assert (found.p50, found.max, found.count) == (69, 99, 100)
    clock[0] += 61.0
    assert recent.distribution() is None, "a minute without a value"
    recent.add(7.0)
    assert (recent.distribution().max, recent.distribution().count) == (7, 101)


def test_memory_does_not_grow_with_the_days():
    meter = RunMeter("run")
    run(meter, Robot(), Still(), seconds=2)
    import tracemalloc

    tracemalloc.start()
    run(meter, Robot(), Still(), seconds=40)
    before = tracemalloc.take_snapshot()
    run(meter, Robot(), Still(), seconds=3 * WINDOW / 50)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    grown = sum(change.size_diff for change in after.compare_to(before, "filename") if "telemetry" in str(change))
    assert grown < 2000


# --- Prometheus --------------------------------------------------------------------------------------------------


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_the_official_parser_reads_every_metric(snapshot):
    machine = MachineHealth({"cpu-thermal": 54.2}, {"throttled": True}, {"under-voltage": False})
    snapshot = replace(snapshot, machine=machine)
    found = families(write_exposition(snapshot))
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in found.values()
        for sample in family.samples
    }
    assert samples["reachy_kit_ticks_total", ()] == 20
    assert samples["reachy_kit_run_info", (ODD, "127.0.0.1:8000", ODD)] == 1
    assert samples["reachy_kit_limiter_interventions_total", ("speed",)] == 1
    assert samples["reachy_kit_limiter_interventions_total", ("lead",)] == 0
    assert samples["reachy_kit_temperature_celsius", ("cpu-thermal",)] == 54.2
    assert samples["reachy_kit_throttled", ("throttled",)] == 1
    assert samples["reachy_kit_was_throttled", ("under-voltage",)] == 0
    for name, quantity in snapshot.quantities.items():
        metric = f"reachy_kit_{name}_seconds"
        assert samples[metric, ("0.99",)] == quantity.p99
        assert samples[metric, ("1",)] == quantity.max
        assert samples[f"{metric}_count", ()] == quantity.count
        assert samples[f"{metric}_sum", ()] == quantity.sum


def test_names_follow_the_convention(snapshot):
    text = write_exposition(snapshot)
    for family in families(text).values():
        assert family.name.startswith("reachy_kit_")
        assert family.documentation.endswith(".")
        names = {sample.name for sample in family.samples}
        assert all(name.endswith("_total") == (family.type == "counter") for name in names), names
        if family.type == "summary":
            assert family.name.endswith("_seconds")
    assert text.endswith("\n")
    assert text.count("# TYPE ") == len(families(text)), "each metric is declared once"


def test_requests_are_answered_while_the_run_lasts(snapshot):
    server = MetricsServer(parse_metrics_address("0"), lambda: snapshot)
    url = f"http://{server.address}"
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.read().decode() == write_exposition(snapshot)
    with urllib.request.urlopen(f"{url}/telemetry") as answer:
        assert read_snapshot(json.load(answer)).ticks == snapshot.ticks
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{url}/")
    assert b"POST /stop" in missing.value.read()
    server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/metrics")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),  # as a form's, which any web page may send
        ({"Origin": "http://somewhere.example"}, 403),
        ({"Origin": "null", STOP_HEADER: "stop"}, 403),
        ({STOP_HEADER: "stop"}, 202),
    ],
)
def test_a_web_page_that_is_open_on_this_computer_cannot_stop_the_run(headers, status, snapshot, monkeypatch):
    stops = []
    monkeypatch.setattr("reachy_kit.runtime.telemetry.metrics_server.stop_program", lambda: stops.append(1) or True)
    server = MetricsServer(parse_metrics_address("0"), lambda: snapshot)
    with contextlib.closing(http.client.HTTPConnection(server.address.host, server.address.port)) as connection:
        connection.request("POST", "/stop", b"", headers)
        answer = connection.getresponse()
        assert answer.status == status
        assert (STOP_HEADER in answer.read().decode()) == (status == 403), "the answer says what is missing"
    server.close()
    assert len(stops) == (status == 202)


@pytest.mark.parametrize("text", ["http", "99999", ":9100", "127.0.0.1:", "a:b", "-1"])
def test_what_is_not_a_port_is_said(text):
    with pytest.raises(WrongUseError, match="is not PORT or HOST:PORT"):
        parse_metrics_address(text)


def test_a_port_in_use_is_said_before_anything_moves(snapshot):
    server = MetricsServer(parse_metrics_address("0"), lambda: snapshot)
    with pytest.raises(WrongUseError, match=r"in use\). Choose another port"):
        MetricsServer(server.address, lambda: snapshot)
    server.close()


# --- the file ----------------------------------------------------------------------------------------------------


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_short_run_leaves_a_line_and_the_next_run_appends(tmp_path, snapshot):
    log = tmp_path / "run.jsonl"
    for ticks in (20, 10):
        with publishing("run", log, "", print) as meter:
            run(meter, Robot(), Still(), seconds=ticks / 50)
    first, second = (read_snapshot(line) for line in lines_of(log))
    assert (first.ticks, second.ticks) == (20, 10)
    assert first.limited.keys() == snapshot.limited.keys()


def test_a_line_holds_what_was_measured(snapshot):
    read = read_snapshot(json.loads(json.dumps(snapshot.record())))
    assert read.quantities["period"].p99 == pytest.approx(snapshot.quantities["period"].p99, abs=1e-6)
    assert replace(read, quantities={}, **rounded(snapshot)) == replace(snapshot, quantities={}, **rounded(snapshot))


def rounded(snapshot):
    return {name: getattr(snapshot, name) for name in ("time", "started", "since_tick")}


@pytest.mark.parametrize("record", [None, [], "text", {}, {"schema": 1}, {"quantities": {"a": {}}}])
def test_what_is_not_telemetry_is_not_read_as_such(record):
    assert read_snapshot(record) is None


def test_telemetry_of_another_version_or_with_wrong_types_is_not_read(snapshot):
    assert read_snapshot(snapshot.record() | {"schema": 2}) is None
    assert read_snapshot(snapshot.record() | {"ticks": "many"}) is None


def test_a_full_disk_costs_lines_and_never_half_a_line(tmp_path, snapshot):
    log = TelemetryLog(tmp_path / "run.jsonl")
    line = {"schema": 1, "text": "x" * 1000}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3500, before[1]))  # writes beyond fail, as on a full disk
    try:
        reasons = [log.write(line) for _ in range(6)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert reasons[:3] == [None] * 3
    assert all("large" in reason for reason in reasons[3:])
    assert log.lost == 3
    assert log.write(line) is None, "there is room again"
    log.close()
    assert lines_of(log.path) == [line] * 4


def test_a_full_disk_is_said_once_and_the_run_continues(tmp_path, monkeypatch):
    monkeypatch.setattr("reachy_kit.runtime.telemetry.publishing._PERIOD", 0.001)
    notes, path = [], tmp_path / "run.jsonl"
    path.write_text('{"schema":1}\n' * 30_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
    try:
        with publishing("run", path, "", notes.append) as meter:
            found = run(meter, Robot(), Still(), seconds=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.ticks == 5000
    [note] = notes
    assert note.startswith(f"warning: --telemetry {path} cannot be written (")
    assert len(lines_of(path)) == 30_000


def test_half_a_line_of_a_killed_run_is_removed(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"schema":1,"a":1}\n{"schema":1,"b' + "b" * 10_000)
    log = TelemetryLog(path)
    log.write({"schema": 1, "c": 3})
    log.close()
    assert lines_of(path) == [{"schema": 1, "a": 1}, {"schema": 1, "c": 3}]


def test_a_file_of_something_else_is_not_touched(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(RefusedError, match="is not a file of telemetry"):
        TelemetryLog(path)
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["folder", "missing/run.jsonl"])
def test_a_file_that_cannot_be_is_wrong_use(name, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(KitError, match="--telemetry"):
        TelemetryLog(tmp_path / name)


# --- the computer ------------------------------------------------------------------------------------------------


def computer(root, zones=(), throttled=None, platform="soc/soc:firmware"):
    """The files of a computer."""
    for index, (name, value) in enumerate(zones):
        zone = root / f"sys/class/thermal/thermal_zone{index}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{name}\n")
        (zone / "temp").write_text(f"{value}\n")
    if throttled is not None:
        firmware = root / "sys/devices/platform" / platform
        firmware.mkdir(parents=True)
        (firmware / "get_throttled").write_text(f"{throttled}\n")
    return root


def test_a_raspberry_pi_says_how_hot_it_is_and_what_holds_it_back(tmp_path):
    found = read_machine_health(computer(tmp_path, [("cpu-thermal", 81234)], throttled="50008"))
    assert found.temperatures == {"cpu-thermal": 81.234}
    assert [reason for reason, is_so in found.throttled.items() if is_so] == ["soft temperature limit"]
    assert [reason for reason, was_so in found.was_throttled.items() if was_so] == ["under-voltage", "throttled"]


def test_sensors_that_do_not_work_are_left_out(tmp_path):
    zones = [("acpitz", 27800), ("broken", "n/a"), ("off", -273200), ("acpitz", 29000), ("wild", 65535000)]
    found = read_machine_health(computer(tmp_path, zones))
    assert found.temperatures == {"acpitz": 27.8, "thermal_zone3": 29.0}


def test_a_computer_without_sensors_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    machine_health._vcgencmd.cache_clear()
    assert read_machine_health(tmp_path) == MachineHealth({}, None, None)


@pytest.mark.parametrize(
    ("answer", "throttled"), [("echo throttled=0x4", True), ("echo VCHI failed; exit 255", None), ("echo 1", None)]
)
def test_vcgencmd_is_asked_where_the_firmware_has_no_file(answer, throttled, tmp_path, monkeypatch):
    command = tmp_path / "vcgencmd"
    command.write_text(f"#!/bin/sh\n{answer}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    machine_health._vcgencmd.cache_clear()
    found = read_machine_health(tmp_path)
    machine_health._vcgencmd.cache_clear()
    assert (found.throttled and found.throttled["throttled"]) == throttled


def test_numbers_that_are_not_finite_do_not_reach_the_file():
    robot = Robot()
    robot.state_age = math.inf
    found = run(RunMeter("run"), robot, Still())
    assert "state_age" not in found.quantities
    json.dumps(found.record(), allow_nan=False)
