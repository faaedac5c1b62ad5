"""The layout of a dataset that is recorded on this computer, by the scripted expert or by a person."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.workflows.inputs.session import Session
from reachy_kit.workflows.inputs.session_hearing import Listening

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant


def dataset_layout(
    session: Session, variant: "Variant", teleop: str, hz: int, camera: bool, listening: Listening
) -> DatasetLayout:
    """The layout of what an open session records.

    Args:
        session: that is recorded.
        variant: of the task.
        teleop: name of the device that demonstrates.
        hz: decisions per second.
        camera: whether the camera's images are kept.
        listening: what is kept of the sound.
    """
    sound, audio_samples = listening.columns(hz)
    return DatasetLayout(
        task=variant.task.name,
        instruction=variant.task.instruction,
        environment_state=session.perception.names,
        environment_state_units=units_of(session.perception.names),
        policy_hz=hz,
        image_shape=session.image_shape if camera else None,
        sound=sound,
        audio_samples=audio_samples,
        provenance={
            "robot": session.robot.name,
            "teleop": teleop,
            "variant": variant.name,
            "perception": session.perception_name,
            "success": "world" if session.world else "operator",
            **session.target_provenance,
            "reachy-kit": version("reachy-kit"),
        },
    )
