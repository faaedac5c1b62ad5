"""A bundle made of a run.

Try it: reachy-kit export runs/look_at --out look_at.bundle
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.durable_files import check_file, check_folder
from reachy_kit.runtime.inference.bundle import is_zip
from reachy_kit.workflows.inputs.policy_arguments import image_width
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from reachy_kit.runtime.inference.manifest import Manifest


@dataclass(frozen=True)
class ExportedBundle:
    """A bundle that was written."""

    bundle: Path
    manifest: "Manifest"
    tolerance: float
    """Largest parity error that is accepted, rad or m."""
    takes_images: bool
    """Whether its policy takes the camera's images."""


def export_run(run: Path, out: Path, *, reporter: Reporter = SILENT) -> ExportedBundle:
    """Export a run as a bundle, and compare its ONNX graph with torch on recorded observations.

    Args:
        run: folder of the run.
        out: the bundle to write.
        reporter: shows the progress.

    Returns:
        The bundle.

    Raises:
        WrongUseError: the folder is not a run.
        RefusedError: its files are damaged, its policy cannot be exported, or another file would be overwritten.
        KitError: ONNX and torch differ, or the bundle cannot be written.
    """
    if out.parent.is_dir():
        check_file(out, "a bundle", is_zip)
    else:
        check_folder(out.parent)  # made when the bundle is written
    with reporter.working("loading torch and LeRobot"):
        from reachy_policies.onnx_export import PARITY_TOLERANCE, export_bundle
        from reachy_policies.runs.saved_run import open_run
    opened = open_run(run)
    return ExportedBundle(out, export_bundle(opened, out), PARITY_TOLERANCE, image_width(str(opened.path)) > 0)
