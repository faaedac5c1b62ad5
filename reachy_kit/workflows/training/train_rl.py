"""Reinforcement learning in the simulator, from an imitation or from scratch.

Try it: reachy-kit train rl --init runs/track --task track --out runs/track_rl
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.workflows.inputs.build_config import build_config, refuse_rest
from reachy_kit.workflows.inputs.policy_arguments import SCRIPTED_HZ, takes_images
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.sim_envs import BatchExpert, make_envs

if TYPE_CHECKING:
    from reachy_policies.reinforcement.eval_point import EvalPoint
    from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
    from reachy_policies.reinforcement.reinforce_spec import ReinforceSpec, SimFactory
    from reachy_policies.reinforcement.training import OnIteration
    from reachy_policies.runs.saved_run import Run
    from reachy_sim.tasks.variants import Variant


def train_rl(
    out: Path,
    *,
    task: str,
    init: Path | None,
    method: str = "ppo",
    variant: str = "training",
    tier: str = "kinematic",
    reward: str = "dense",
    randomization: str = "off",
    obs_type: str = "",
    seed: int = 0,
    fresh: bool = False,
    settings: dict[str, Any] | None = None,
    reporter: Reporter = SILENT,
) -> "Run":
    """Improve a policy by reinforcement learning in the simulator, and save it as a run.

    An interrupted training is resumed by the same call; a finished one is only opened.

    Args:
        out: folder of the run.
        task: its name, or the file of one.
        init: imitation run to start from; None for the method ``scratch``.
        method: ``ppo``, ``scratch``, ``bc-continue``, ``filtered-bc`` or ``residual``.
        variant: of the task; several, separated by commas, are a curriculum.
        tier: ``kinematic``, ``physics`` or ``both``.
        reward: ``dense`` or ``sparse``.
        randomization: ``off``, ``mild``, ``wide``, or path of a JSON file of ``reachy-kit sysid``.
        obs_type: ``state`` or ``pixels``; empty means what ``init`` takes, without one ``state``.
        seed: of episodes, exploration and updates.
        fresh: start over; discard an unfinished training in ``out``, and replace a finished run at the end.
        settings: of the method, by name.
        reporter: shows the progress.

    Returns:
        The run.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        RefusedError: ``init`` is for something else, or ``out`` holds another training.
        KitError: training diverges, or the run cannot be written.
    """
    final = _final_variant(task, variant)
    task = final.task.name
    _check_start(init, method)
    randomization_sha256 = _file_digest(randomization)
    observed = _obs_type(obs_type, init)
    if observed == "pixels" and final.task.features != TARGET_FEATURES:
        raise WrongUseError(f"the head camera does not show what {task} is about: learn it with --obs-type state")
    with reporter.working("loading torch and LeRobot"):
        from reachy_policies.reinforcement.reinforce import reinforce
        from reachy_policies.reinforcement.reinforce_spec import ReinforceSpec
        from reachy_policies.runs.saved_run import open_run
    config = _config(method, observed, seed, dict(settings or {}))
    hz = open_run(init).card.policy_hz if init else SCRIPTED_HZ
    spec = ReinforceSpec(
        task, variant, tier, reward, randomization, method, init, hz, CONTROL_HZ, final.task.features, observed,
        randomization_sha256,
    )  # fmt: skip
    with reporter.progress(method, total=config.iterations) as advance:
        sim, on_iteration = make_sim_factory(spec), _advance_to(advance)
        return reinforce(out, spec, config, sim, on_iteration, fresh=fresh, note=reporter.note)


def make_sim_factory(spec: "ReinforceSpec") -> "SimFactory":
    """Environments and experts of the simulator for a training.

    Args:
        spec: of the training.

    Returns:
        Functions that make its environments and its expert.
    """
    from reachy_policies.data.image_tensors import CHUNK_IMAGE_SHAPE
    from reachy_policies.reinforcement.reinforce_spec import SimFactory

    options: dict[str, Any] = {
        "tier": "physics" if spec.tier == "both" else spec.tier,
        "variant": spec.variants[-1],
        "reward": spec.reward,
        "policy_hz": spec.policy_hz,
    }
    if spec.obs_type == "pixels":
        options |= {"obs_type": "pixels_state", "image_size": CHUNK_IMAGE_SHAPE[-1]}
    return SimFactory(
        envs=lambda tier, variant, count: make_envs(
            spec.task, count, **{**options, "tier": tier, "variant": variant, "randomization": spec.randomization}
        ),
        eval_envs=lambda count: make_envs(spec.task, count, **options),
        expert=lambda count, seed: BatchExpert(spec.task, spec.policy_hz, range(seed, seed + count)),
    )


def _advance_to(advance: Callable[[], None]) -> "OnIteration":
    """Advance a progress to the iteration that is reached; a training that is resumed begins at a later one."""
    done = 0

    def on_iteration(iteration: int, evaluation: "EvalPoint | None") -> None:
        nonlocal done
        while done < iteration:
            advance()
            done += 1

    return on_iteration


def _file_digest(randomization: str) -> str:
    """SHA-256 of a randomization's file; empty for a name.

    Raises:
        WrongUseError: it is neither a name nor a file.
        RefusedError: the file does not hold identified motors.
    """
    from reachy_sim import domain

    domain.randomization(randomization)
    if randomization in domain.RANDOMIZATIONS:
        return ""
    return hashlib.sha256(Path(randomization).read_bytes()).hexdigest()


def _final_variant(task: str, variants: str) -> "Variant":
    """The last variant of a curriculum, in which the training is evaluated; all of them exist."""
    from reachy_sim.tasks import variant_by_name

    return [variant_by_name(task, name) for name in variants.split(",")][-1]


def _check_start(init: Path | None, method: str) -> None:
    """Refuse a method without its start, and a start that is not a run."""
    from reachy_kit.runtime.durable_files import undo_broken_replacement
    from reachy_policies.runs.run_files import is_run, training_command

    if (init is None) != (method == "scratch"):
        raise WrongUseError(
            "--method scratch starts without an imitation; leave out --init"
            if method == "scratch"
            else f"--method {method} starts from an imitation: give its run with --init"
        )
    if init is not None:
        undo_broken_replacement(init)
    if init is not None and not is_run(init):
        raise WrongUseError(f"{init} is not a run. Train one: {training_command(init)}")


def _config(method: str, obs_type: str, seed: int, settings: dict[str, Any]) -> "ReinforceConfig":
    """Build the method's configuration from its settings."""
    from reachy_policies.reinforcement.reinforce import config_class
    from reachy_policies.reinforcement.reinforce_config import PIXEL_DEFAULTS
    from reachy_policies.reinforcement.reinforce_spec import METHODS

    if method not in METHODS:
        raise WrongUseError(f"--method {method} does not exist; there are {', '.join(METHODS)}")
    kind = config_class(method)
    if obs_type == "pixels":
        settings = {**PIXEL_DEFAULTS, **settings}
    config = build_config(settings, kind, seed=seed)
    refuse_rest(settings, kind)
    return config


def _obs_type(wanted: str, init: Path | None) -> str:
    """The kind of observation: that of the start, or without one the wanted kind."""
    if wanted not in ("", "state", "pixels"):
        raise WrongUseError(f"--obs-type {wanted} does not exist; there are state and pixels")
    if init is None:
        return wanted or "state"
    start = "pixels" if takes_images(str(init)) else "state"
    if wanted not in ("", start):
        raise WrongUseError(f"{init} takes {start}; leave out --obs-type {wanted}, or give another start")
    return start
