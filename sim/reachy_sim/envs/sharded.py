"""A ``Simulation`` spread over worker processes, one per core of the machine.

The workers are spawned, so a script that uses them needs ``if __name__ == "__main__":``. Each worker waits on its pipe
and ends with the process that started it, however that ends.
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
from reachy_sim.dynamics.joints import Ids, joint_targets, refuse_unreachable
from reachy_sim.envs.simulation import Simulation
from reachy_sim.tasks.task import TaskOutcome
from reachy_sim.tasks.variants import Variant

_PATIENCE = 5.0
"""Time for a worker to end by itself, s."""


class ShardedSimulation:
    """A ``Simulation`` whose environments several workers share, the same bit for bit.

    Args:
        variant: task and domain parameters.
        num_envs: N.
        processes: workers that share the environments.
        obs_type: keys of the observations.
        threads: of the physics tier, all workers together; 0 takes every core.
        options: of ``Simulation``.

    Raises:
        WrongUseError: there are fewer environments than processes, or a worker's ``Simulation`` refuses its options.
        KitError: a worker does not start; also from every method, when a worker has died.
    """

    def __init__(
        self, variant: Variant, num_envs: int, *, processes: int, obs_type: str, threads: int = 0, **options: Any
    ) -> None:
        if not 1 <= processes <= num_envs:
            raise WrongUseError(f"processes={processes}: {num_envs} environments can be shared by 1 to {num_envs}")
        self.num_envs = num_envs
        options["threads"] = max((threads or os.cpu_count() or 1) // processes, 1)
        edges = np.linspace(0, num_envs, processes + 1).astype(int).tolist()
        self._start([(slice(*edge), variant) for edge in pairwise(edges)], obs_type, options)

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle the workers' simulations; the copy starts workers of its own."""
        answers = self._ask({index: ("copy",) for index in range(len(self._shards))})
        shards = [
            (shard.rows, simulation) for shard, (simulation, _) in zip(self._shards, answers.values(), strict=True)
        ]
        return {"num_envs": self.num_envs, "shards": shards, "obs_type": self._obs_type}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.num_envs = state["num_envs"]
        self._start(state["shards"], state["obs_type"], {})

    def reset(
        self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters, poses: Array | None = None
    ) -> None:
        """Begin episodes as ``Simulation.reset`` does."""
        if poses is not None:
            refuse_unreachable(joint_targets(poses), poses, ids, self.num_envs)  # before any worker resets
        requests: dict[int, tuple[Any, ...]] = {}
        for index, shard in enumerate(self._shards):
            here = (ids >= shard.rows.start) & (ids < shard.rows.stop)
            if here.any():
                own = None if poses is None else poses[here]
                requests[index] = ("reset", ids[here] - shard.rows.start, seeds[shard.rows], episodes[shard.rows], own)
        for index, (_, state) in self._ask(requests).items():
            self._answers[index] = state

    def step(self, actions: Array) -> TaskOutcome:
        """Carry out targets as ``Simulation.step`` does."""
        answers = self._ask({index: ("step", actions[shard.rows]) for index, shard in enumerate(self._shards)})
        self._answers = [state for _, state in answers.values()]
        outcomes = [outcome for outcome, _ in answers.values()]
        return TaskOutcome(
            np.concatenate([outcome.error for outcome in outcomes]),
            {name: np.concatenate([outcome.terms[name] for outcome in outcomes]) for name in outcomes[0].terms},
            np.concatenate([outcome.just_succeeded for outcome in outcomes]),
        )

    def observe(self, obs_type: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return observations as ``Simulation.observe`` does, with the ``obs_type`` chosen at the start."""
        observations = [observation for observation, _ in self._answers]
        return {key: np.concatenate([part[key] for part in observations]) for key in observations[0]}

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """Whether the whole criterion has been met, (N,)."""
        return np.concatenate([success for _, success in self._answers])

    def images(self, *, robot: bool) -> list[Image]:
        """Render images as ``Simulation.images`` does."""
        answers = self._ask({index: ("images", robot) for index in range(len(self._shards))})
        return [image for images, _ in answers.values() for image in images]

    def close(self) -> None:
        """End the workers."""
        self._end("closed")

    def _start(self, shards: list[tuple[slice, Variant | Simulation]], obs_type: str, options: dict[str, Any]) -> None:
        """Start a worker for each slice, with a variant to simulate or a simulation to continue."""
        self._obs_type, self._ended = obs_type, ""
        self._shards: list[_Shard] = []
        try:
            for rows, content in shards:
                self._shards.append(_Shard(rows, content, obs_type, options))
            self._answers = [shard.answer() for shard in self._shards]
        except BaseException:
            self.close()
            raise

    def _ask(self, requests: dict[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Send requests to the shards, which work in parallel; an error is raised after all have answered."""
        if self._ended:
            raise KitError(f"the environments were {self._ended}: make them again")
        try:
            for index, request in requests.items():
                self._shards[index].ask(request)
            answers = {index: self._shards[index].answer_or_error() for index in requests}
        except BaseException as error:  # also Ctrl-C: answers left in the pipes would go to the next request
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
    """A worker and its environments.

    Args:
        rows: indices of the environments.
        content: task and domain parameters, or a simulation to continue.
        obs_type: keys of the observations.
        options: of ``Simulation``.
    """

    def __init__(self, rows: slice, content: Variant | Simulation, obs_type: str, options: dict[str, Any]) -> None:
        self.rows = rows
        context = multiprocessing.get_context("spawn")
        self._pipe, worker_end = context.Pipe()
        count = rows.stop - rows.start
        self.process = context.Process(
            target=_work, args=(worker_end, task_files(), count, obs_type, options), daemon=True
        )
        self.process.start()
        worker_end.close()  # the worker then holds the only copy, so that its death closes the pipe
        self.ask(content)

    def ask(self, request: Any) -> None:
        """Send a request."""
        try:
            self._pipe.send(request)
        except OSError as error:
            raise self._dead() from error

    def answer_or_error(self) -> Any:
        """Wait for the answer to the oldest request."""
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._dead() from error

    def answer(self) -> Any:
        """Wait for the answer to the oldest request, and raise a worker's error."""
        answer = self.answer_or_error()
        if isinstance(answer, KitError):
            raise answer
        return answer

    def hang_up(self) -> None:
        """Close the pipe, which ends the worker."""
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
    """Answer requests until the pipe closes. Ctrl-C is left to the process that started the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        try:
            for file in files:  # before the variant, whose task may be defined there
                load_task_file(file)
            content = pipe.recv()
            simulation = content if isinstance(content, Simulation) else Simulation(content, count, **options)
            first = simulation.observe(obs_type), simulation.success
        except KitError as error:
            pipe.send(error)
            return
        pipe.send(first)
        while True:
            request = pipe.recv()
            try:
                answer: Any = _answer(simulation, obs_type, *request)
            except KitError as error:
                answer = error
            pipe.send(answer)
    # The end of the process frees the renderers.


def _answer(simulation: Simulation, obs_type: str, what: str, *details: Any) -> tuple[Any, Any]:
    if what == "images":
        return simulation.images(robot=details[0]), None
    if what == "copy":
        return simulation, None
    outcome = None
    if what == "step":
        outcome = simulation.step(*details)
    else:
        simulation.reset(*details)
    return outcome, (simulation.observe(obs_type), simulation.success)
