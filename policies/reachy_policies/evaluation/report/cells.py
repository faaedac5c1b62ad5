"""An evaluation in words, for tables on the terminal and in reports."""

from reachy_policies.evaluation.episodes import Evaluation


def row(one: Evaluation) -> list[str]:
    """Policy, success, interval, the task's error, loop times."""
    success, error = one.success, {name: one.error.scale * value for name, value in vars(one.task_error).items()}
    loop = one.loop_ms()
    timing = (
        f"{loop['period_p50']:.1f}/{loop['period_p99']:.1f} period"
        if one.wall_clock
        else f"{loop['work_p50']:.1f}/{loop['work_p99']:.1f} work"
    )
    return [
        one.policy,
        f"{sum(one.successes)}/{len(one.successes)} {100 * success.value:.0f} %",
        f"{100 * success.low:.0f}–{100 * success.high:.0f} %",
        f"{error['value']:.1f}{one.error.symbol} ({error['low']:.1f}–{error['high']:.1f})",
        timing,
    ]


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * share):+d}"
