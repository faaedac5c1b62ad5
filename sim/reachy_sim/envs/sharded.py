"""A batch of robots spread over worker processes: for each core of the machine, what a ``Simulation`` does on one.

The workers are spawned, so a script that asks for them needs ``if __name__ == "__main__":``. Each end of a pipe waits
for the other: the workers end with whoever started them, however that ends.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterable
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.tasks.task_registry import load_task_file, task_files
from reachy_sim import counter_rng
from reachy_sim.dynamics.joints import joint_targets, refuse_unreachable
from reachy_sim.envs.simulation import Ids, Simulation
from reachy_sim.tasks.task import TaskOutcome
from reachy_sim.tasks.variants import Variant

_PATIENCE = 5.0
"""s for a worker to end by itself."""


class ShardedSimulation:
    """What an environment asks of a ``Simulation``, answered by several, bit for bit the same.

    Args:
        variant: task and conditions.
        num_envs: N.
        processes: how many workers share them.
        obs_type: what they observe.
        threads: of the physics tier, in all; 0 takes every core.
        options: of ``Simulation``.

    Raises:
        WrongUseError: there are fewer environments than processes, or a worker's ``Simulation`` refuses its options.
        KitError: a worker does not start, here and at every call: one has died.
    """

    def __init__(
        self, variant: Variant, num_envs: int, *, processes: int, obs_type: str, threads: int = 0, **options: Any
    ) -> None:
        if not 1 <= processes <= num_envs:
            raise WrongUseError(f"processes={processes}: {num_envs} environments can be shared by 1 to {num_envs}")
        self.num_envs = num_envs
        options["threads"] = max((threads or os.cpu_count() or 1) // processes, 1)
        edges = np.linspace(0, num_envs, processes + 1).astype(int).tolist()
        self._shards: list[_Shard] = []
        self._ended = ""
        try:
            for first, after in pairwise(edges):
                self._shards.append(_Shard(slice(first, after), variant, obs_type, options))
            self._seen = [shard.answer() for shard in self._shards]
        except BaseException:
            self.close()
            raise

    def reset(
        self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters, poses: Array | None = None
    ) -> None:
        """As ``Simulation.reset``."""
        if poses is not None:
            refuse_unreachable(joint_targets(poses), poses, ids, self.num_envs)  # before any worker resets
        requests: dict[int, tuple[Any, ...]] = {}
        for index, shard in enumerate(self._shards):
            here = (ids >= shard.rows.start) & (ids < shard.rows.stop)
            if here.any():
                own = None if poses is None else poses[here]
                requests[index] = ("reset", ids[here] - shard.rows.start, seeds[shard.rows], episodes[shard.rows], own)
        for index, (_, seen) in self._ask(requests).items():
            self._seen[index] = seen

    def step(self, actions: Array) -> TaskOutcome:
        """As ``Simulation.step``."""
        answers = self._ask({index: ("step", actions[shard.rows]) for index, shard in enumerate(self._shards)})
        self._seen = [seen for _, seen in answers.values()]
        judged = [judgement for judgement, _ in answers.values()]
        return TaskOutcome(
            np.concatenate([one.error for one in judged]),
            {name: np.concatenate([one.terms[name] for one in judged]) for name in judged[0].terms},
            np.concatenate([one.just_succeeded for one in judged]),
        )

    def observe(self, obs_type: str) -> dict[str, npt.NDArray[np.generic]]:
        """As ``Simulation.observe``, of the kind chosen at the start."""
        observations = [observation for observation, _ in self._seen]
        return {key: np.concatenate([one[key] for one in observations]) for key in observations[0]}

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the whole criterion has been met."""
        return np.concatenate([success for _, success in self._seen])

    def pictures(self, *, robot: bool) -> list[Image]:
        """As ``Simulation.pictures``."""
        answers = self._ask({index: ("pictures", robot) for index in range(len(self._shards))})
        return [picture for pictures, _ in answers.values() for picture in pictures]

    def close(self) -> None:
        """End the workers."""
        self._end("closed")

    def _ask(self, requests: dict[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Requests by shard, worked on at once; an error is raised when all have answered."""
        if self._ended:
            raise KitError(f"the environments were {self._ended}: make them again")
        try:
            for index, request in requests.items():
                self._shards[index].ask(request)
            answers = {index: self._shards[index].answer_or_error() for index in requests}
        except BaseException as error:  # Ctrl-C too: what is left in the pipes would answer the next question
            self._end("ended by an error" if isinstance(error, KitError) else "interrupted")
            raise
        for answer in answers.values():
            if isinstance(answer, KitError):
                raise answer
        return answers

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        _end(self._shards)
        self._shards = []


class _Shard:
    """One worker and what it works on.

    Args:
        rows: which environments.
        variant: task and conditions.
        obs_type: what they observe.
        options: of ``Simulation``.
    """

    def __init__(self, rows: slice, variant: Variant, obs_type: str, options: dict[str, Any]) -> None:
        self.rows = rows
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        count = rows.stop - rows.start
        self.process = context.Process(target=_work, args=(theirs, task_files(), count, obs_type, options), daemon=True)
        self.process.start()
        theirs.close()  # so that the worker's end is the only one, and its death is heard
        self.ask(variant)

    def ask(self, request: Any) -> None:
        """Send it."""
        try:
            self._pipe.send(request)
        except OSError as error:
            raise self._dead() from error

    def answer_or_error(self) -> Any:
        """Wait for it."""
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._dead() from error

    def answer(self) -> Any:
        """Wait for it; a worker's error is raised."""
        answer = self.answer_or_error()
        if isinstance(answer, KitError):
            raise answer
        return answer

    def hang_up(self) -> None:
        """Let the worker go."""
        self._pipe.close()

    def _dead(self) -> KitError:
        self.process.join(_PATIENCE)
        return KitError(
            f"the process of the environments {self.rows.start} to {self.rows.stop - 1} has died (exit code "
            f'{self.process.exitcode}). If it never started, your script needs: if __name__ == "__main__":'
        )


def _end(shards: Iterable[_Shard]) -> None:
    for shard in shards:
        shard.hang_up()
    for shard in shards:
        shard.process.join(_PATIENCE)
        if shard.process.is_alive():
            shard.process.kill()
            shard.process.join()


def _work(pipe: Connection, files: tuple[Path, ...], count: int, obs_type: str, options: dict[str, Any]) -> None:
    """A worker's life: answer until the other end hangs up. Ctrl-C is the business of whoever started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        try:
            for file in files:  # before the variant, whose task may be defined there
                load_task_file(file)
            simulation = Simulation(pipe.recv(), count, **options)
        except KitError as error:
            pipe.send(error)
            return
        pipe.send((simulation.observe(obs_type), simulation.success))
        while True:
            request = pipe.recv()
            try:
                answer: Any = _answer(simulation, obs_type, *request)
            except KitError as error:
                answer = error
            pipe.send(answer)
    # What the renderers hold, the end of the process frees.


def _answer(simulation: Simulation, obs_type: str, what: str, *details: Any) -> tuple[Any, Any]:
    if what == "pictures":
        return simulation.pictures(robot=details[0]), None
    judgement = None
    if what == "step":
        judgement = simulation.step(*details)
    else:
        simulation.reset(*details)
    return judgement, (simulation.observe(obs_type), simulation.success)
