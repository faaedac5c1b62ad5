"""A bundle's manifest: what goes into its graphs, what comes out, and how the numbers are meant.

It says all that another program needs: ``policies/examples/run_bundle.py`` runs a bundle with numpy and onnxruntime
alone. All its numbers are finite, because JavaScript's JSON knows no others.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS, CONTROL_HZ

SCHEMA = 3
"""Version of the manifest; raised when older bundles can no longer be run."""
IMAGES = "images"
"""Input of a vision policy's graph, (1, 2, 3, H, W) float32 from 0 to 255: the earliest and the latest image."""

CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        "history": "An input with several steps is stacked oldest first. Before an episode's first observation stands "
        "the first observation itself.",
        "plan": "The chunk graph plans chunk_size actions, one per decision. The first n_action_steps of them are "
        "carried out, then it plans again from the latest observations.",
        "temporal_ensemble_coeff": "If it is a number m, a plan is made at every decision, and the action is the "
        "average of all plans for this decision with the weights exp(-m k), k = 0 for the oldest plan.",
        "correction": "A step graph runs at every decision after the chunk graph. It takes that action as base_action, "
        "and its output is the action.",
        "noise": "0 gives the mean plan, as this kit runs it; standard normal numbers give a sample.",
        "normalization": "Inside the graphs: raw numbers in, raw numbers out. The scale of the actions is 1.",
        "action": "Absolute targets, before any limiter. Limit workspace, speed and acceleration before a motor gets "
        "them; this kit's limits have the name limits_profile.",
        "last_action": "The target in force after the limiter. At an episode's first decision, the "
        "pose in which the robot stands.",
        "interpolation": "Linear from the target in force to the new one, over control_hz / hz ticks; the last tick "
        "requests the new target itself.",
        "position": "Base frame: x forward, y left, z up. The origin is the neutral position of the head.",
        "rotation": "Extrinsic xyz in the base frame: roll about x, then pitch about y, then yaw about z. Positive "
        "pitch looks down, positive yaw looks left; positive body yaw turns left.",
        "antennas": "As Reachy Mini's SDK counts them, right before left.",
        "image": "The head camera as RGB with the channels first: its whole width, cropped to the middle rows of the "
        "aspect ratio in the shape, resized by the mean over each pixel's area. 0 is black, 255 is white.",
    }
)
"""How the numbers of every bundle are meant."""


@dataclass(frozen=True)
class GraphInput:
    """One input of a graph, float32."""

    shape: list[int]
    """Batch first."""
    meaning: str
    source: Literal["observation", "constant", "chunk"] = "observation"
    """Origin of its numbers: observations, always ``value``, or the action of the chunk graph."""
    steps: list[int] = field(default_factory=list)
    """Observations that it is stacked from, relative to now: -1 is the one before the latest."""
    value: float | None = None
    """Value of a constant."""
    names: list[str] = field(default_factory=list)
    """Names along the last axis; empty for images and constants."""
    units: list[str] = field(default_factory=list)
    """Units of the names, in the same order."""
    meanings: list[str] = field(default_factory=list)
    """Meanings of the names, in the same order, where the names need it."""


@dataclass(frozen=True)
class GraphOutput:
    """One output of a graph, float32."""

    shape: list[int]
    """Batch first."""
    meaning: str
    steps: list[int]
    """Decisions that it is for, relative to now."""
    names: list[str] = field(default_factory=lambda: list(ACTION_NAMES))
    """Names along the last axis."""
    units: list[str] = field(default_factory=lambda: list(ACTION_UNITS))
    """Units of the names, in the same order."""


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a policy."""

    file: str
    role: Literal["chunk", "step"]
    """``chunk`` plans a few actions at a time; ``step`` corrects each of them."""
    inputs: dict[str, GraphInput]
    outputs: dict[str, GraphOutput]
    hz: int
    """Decisions per second."""
    n_obs_steps: int
    """Number of observations that it takes."""
    chunk_size: int
    """Number of actions that it plans."""
    n_action_steps: int
    """Number of actions of a plan that are carried out before the next plan."""
    temporal_ensemble_coeff: float | None = None
    """Averages overlapping plans (``chunked.TemporalEnsembler``); None carries plans out one after the other."""

    def metadata(self, task: str, instruction: str, version: str) -> dict[str, str]:
        """Properties for the graph's own file, so that it can be run without the manifest; each is text or JSON.

        Args:
            task: name of the task.
            instruction: the task in words.
            version: of this kit.
        """
        own = {name: value for name, value in asdict(self).items() if name != "file"}
        more = {
            "task": task,
            "instruction": instruction,
            "reachy_kit": version,
            "schema": SCHEMA,
            "control_hz": CONTROL_HZ,
            "action_names": ACTION_NAMES,
            "action_units": ACTION_UNITS,
            "action_scale": 1,
            "conventions": dict(CONVENTIONS),
        }
        table = {**more, **own}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in table.items()}


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds, what it was trained on, and the robot that it is for."""

    task: str
    graphs: list[Graph]
    environment_state: tuple[str, ...]
    """Names of its input features, in order."""
    environment_state_units: tuple[str, ...]
    parity_error: float
    """Largest difference between ONNX and the trained network over ``parity_observations``, m and rad."""
    parity_observations: int
    """Recorded observations on which ONNX and the trained network were compared."""
    sha256: dict[str, str]
    """File → SHA-256 digest."""
    instruction: str = ""
    """The task in words."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Provenance: dataset and its hash, seeds, versions, training result."""
    limits_profile: str = "classroom"
    control_hz: int = CONTROL_HZ
    action: tuple[str, ...] = ACTION_NAMES
    action_units: tuple[str, ...] = ACTION_UNITS
    conventions: dict[str, str] = field(default_factory=lambda: dict(CONVENTIONS))
    """How the numbers are meant."""
    schema: int = SCHEMA


@dataclass(frozen=True)
class Sensed:
    """What a policy observes besides the pose: features of perception, or images."""

    features: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    """Channels, rows and columns; None for a policy on features."""


def chunk_inputs(n_obs_steps: int, chunk_size: int, sensed: Sensed) -> dict[str, GraphInput]:
    """Inputs of a chunk graph, in their order."""
    noise = GraphInput([1, chunk_size, len(ACTION_NAMES)], "Noise of a sampled plan.", "constant", value=0)
    return {**_observed(n_obs_steps, sensed), "noise": noise}


def step_inputs(n_obs_steps: int, sensed: Sensed) -> dict[str, GraphInput]:
    """Inputs of a step graph, in their order."""
    base = _pose("Action of the chunk graph for this decision.", [], source="chunk")
    return {**_observed(n_obs_steps, sensed), "base_action": base}


def chunk_outputs(chunk_size: int) -> dict[str, GraphOutput]:
    """Outputs of a chunk graph."""
    steps = list(range(chunk_size))
    return {"action": GraphOutput([1, chunk_size, len(ACTION_NAMES)], "Plan: a target for each decision.", steps)}


def step_outputs() -> dict[str, GraphOutput]:
    """Outputs of a step graph."""
    return {"action": GraphOutput([1, len(ACTION_NAMES)], "Target for this decision.", [0])}


def _observed(n_obs_steps: int, sensed: Sensed) -> dict[str, GraphInput]:
    """Inputs that come from observations."""
    window = list(range(1 - n_obs_steps, 1))
    state = _pose("Measured pose.", window)
    last_action = _pose("Target in force, after the limiter.", [0])
    if sensed.image_shape is not None:
        ends = [window[0], 0]
        images = GraphInput([1, len(ends), *sensed.image_shape], "Images of the head camera, 0 to 255.", steps=ends)
        return {"state": state, IMAGES: images, "last_action": last_action}
    features = GraphInput(
        [1, n_obs_steps, len(sensed.features)],
        "Features of perception.",
        steps=window,
        names=list(sensed.features),
        units=list(sensed.units),
        meanings=list(sensed.meanings),
    )
    return {"state": state, "environment_state": features, "last_action": last_action}


def _pose(meaning: str, steps: list[int], source: Literal["observation", "chunk"] = "observation") -> GraphInput:
    """An input of nine numbers, with a time axis where it holds several observations."""
    nine = len(ACTION_NAMES)
    shape = [1, len(steps), nine] if len(steps) > 1 else [1, nine]
    return GraphInput(shape, meaning, source, steps, names=list(ACTION_NAMES), units=list(ACTION_UNITS))
