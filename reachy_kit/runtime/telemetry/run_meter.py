"""The meter of a run: what each control tick tells it, kept so that another thread can publish it.

In the loop it costs a few µs (tests/bench/telemetry.py); percentiles are computed when they are asked for.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.interface import Episode, Step, TickTiming
from reachy_kit.runtime.robots.loop_rate import LATE_PERIOD
from reachy_kit.runtime.safety import Limited
from reachy_kit.runtime.telemetry.machine_health import read_machine_health
from reachy_kit.runtime.telemetry.metrics_server import MetricsAddress
from reachy_kit.runtime.telemetry.recent_values import RecentValues
from reachy_kit.runtime.telemetry.run_snapshot import QUANTITIES, RunSnapshot


class RunMeter:
    """Measures a run.

    Args:
        command: what runs, in words.
    """

    def __init__(self, command: str) -> None:
        self._command, self._started = command, time.time()
        self._values = {name: RecentValues() for name in QUANTITIES}
        self._limited: dict[int, int] = {}
        self._episodes = self._ticks = self._late = 0
        self._last_tick: float | None = None
        self._last_inference: float | None = None
        self._robot: Any = None
        self._policy: Any = None
        self._planner: Any = None
        self._guard: Any = None
        self._hearing: Any = None
        self._wall_clock = True
        self.published_at: MetricsAddress | None = None
        """Where requests are answered; None for nowhere."""

    def follow(
        self,
        robot: Any,
        policy: Any,
        hearing: Any = None,
        *,
        planner: Any = None,
        guard: Any = None,
        wall_clock: bool = True,
    ) -> None:
        """Measure this robot and this policy from now on.

        What they say of themselves is read where they have it: ``limited``, ``state_age`` and ``camera_age`` of the
        robot, ``age`` of the hearing, ``driving`` and ``decision_age`` of the policy, ``last_inference_seconds`` of
        the planner, ``driving`` and ``stage`` of the guard. A policy without a planner is timed by the loop.

        Args:
            robot: connected.
            policy: drives it.
            hearing: the open microphone.
            planner: plans beside the loop, if that is not the policy itself.
            guard: may take the robot over from the policy.
            wall_clock: whether a tick lasts 20 ms of real time, so that it can be late.
        """
        self._robot, self._policy, self._hearing, self._wall_clock = robot, policy, hearing, wall_clock
        self._planner, self._guard = planner or policy, guard

    def tick(self, timing: TickTiming) -> None:
        """Take a tick's timing, in the control loop: ``rollout(on_timing=meter.tick)``."""
        values = self._values
        self._ticks += 1
        self._last_tick = time.monotonic()
        values["work"].add(timing.work)
        if timing.period is not None:
            values["period"].add(timing.period)
            self._late += timing.period > LATE_PERIOD
        limited = int(getattr(self._robot, "limited", 0))
        if limited:  # counted as they are; telling the kinds apart would take longer
            self._limited[limited] = self._limited.get(limited, 0) + 1
        if timing.decision is not None:
            self._decided(timing)
        self._add_attribute("state_age", self._robot, "state_age")

    def on_episode_start(self, seed: int) -> None:
        """Count an episode; as a subscriber of the rollout."""
        self._episodes += 1

    def on_step(self, step: Step) -> None:
        """Do nothing: ``tick`` has it already."""

    def on_episode_end(self, episode: Episode) -> None:
        """Do nothing."""

    def _decided(self, timing: TickTiming) -> None:
        self._add_attribute("camera_age", self._robot, "camera_age")
        self._add_attribute("audio_age", self._hearing, "age")
        self._add_attribute("decision_age", self._policy, "decision_age")
        beside_loop = getattr(self._planner, "last_inference_seconds", timing.decision)
        if beside_loop is not None and beside_loop != self._last_inference:  # otherwise it is the one of before
            self._values["inference"].add(beside_loop)
            self._last_inference = beside_loop

    def _add_attribute(self, name: str, owner: Any, attribute: str) -> None:
        value = getattr(owner, attribute, None)
        if value is not None and 0.0 <= value < np.inf:
            self._values[name].add(value)

    def snapshot(self) -> RunSnapshot:
        """The run now; for any thread."""
        last = self._last_tick
        guarding = getattr(self._guard, "driving", "")
        name = str(getattr(self._policy, "driving", "")) or self._command
        distributions = {name: values.distribution() for name, values in self._values.items()}
        late = int((self._values["period"].recent() > LATE_PERIOD).sum())
        return RunSnapshot(
            time=time.time(),
            started=self._started,
            process=os.getpid(),
            command=self._command,
            robot=str(getattr(self._robot, "name", "")),
            driver=guarding or name,
            driver_name=self._guard.stage.name.lower() if guarding else name,
            episodes=self._episodes,
            ticks=self._ticks,
            late_ticks=self._late if self._wall_clock else None,
            recent_late_ticks=late if self._wall_clock else None,
            since_tick=None if last is None else time.monotonic() - last,
            quantities={name: distribution for name, distribution in distributions.items() if distribution},
            limited=self._limited_by_kind(),
            memory=_resident_memory(),
            machine=read_machine_health(),
        )

    def _limited_by_kind(self) -> dict[str, int]:
        if not hasattr(self._robot, "limited"):
            return {}
        together = self._limited.copy()
        return {
            (kind.name or "").lower(): sum(count for flags, count in together.items() if flags & kind)
            for kind in Limited
        }


def _resident_memory() -> int | None:
    """Bytes; the second number of /proc/self/statm counts pages."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
