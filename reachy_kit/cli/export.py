"""``reachy-kit export``: a run becomes a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, path_argument, path_option
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.export import ExportedBundle


def export(
    run: Annotated[Path, path_argument(metavar="RUN", help="Folder of a run.")],
    out: Annotated[Path, path_option("--out", metavar="FILE.bundle", help="The bundle to write.")],
    json: JsonOption = False,
) -> None:
    """Export a run as a bundle: ONNX, compared with torch on 256 recorded observations before it is written.

    Example: reachy-kit export runs/look_at --out look_at.bundle
    """
    from reachy_kit.workflows.export import export_run

    exported = export_run(run, out, reporter=show.TERMINAL)
    manifest = exported.manifest
    if json:
        show.print_json({"bundle": str(out), "parity_error": manifest.parity_error, "sha256": manifest.sha256})
        return
    show.result(
        f"{out}: ONNX agrees with torch to {manifest.parity_error:.1g} on {manifest.parity_observations} observations "
        f"(limit {exported.tolerance:g}). Next: {_next_command(exported)}"
    )


def _next_command(exported: "ExportedBundle") -> str:
    """Run the bundle on the daemon; in the simulator where there is none, or for a camera, which ours lacks."""
    from reachy_kit.runtime.robots.daemon import daemon_installed
    from reachy_kit.runtime.tasks.task_registry import own_task_names, task_argument

    name = exported.manifest.task
    task = None if name in own_task_names() else task_argument(name)
    robot = "daemon" if daemon_installed() and not exported.takes_images else "sim"
    return compose_command("run", exported.bundle, robot=robot, task=task)
