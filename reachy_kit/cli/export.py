"""``reachy-kit export``: a run becomes a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.bundle", help="The bundle to write.")],
    json: show.JsonOption = False,
) -> None:
    """Export a run as a bundle: ONNX, compared with torch on 256 recorded observations before it is written.

    Example: reachy-kit export runs/look_at --out look_at.bundle
    """
    with show.working("loading torch and LeRobot"):
        from reachy_policies.export import PARITY_TOLERANCE
        from reachy_policies.export import export as export_run
        from reachy_policies.runs.run import open_run
    manifest = export_run(open_run(run), out)
    if json:
        show.print_json({"bundle": str(out), "parity_error": manifest.parity_error, "sha256": manifest.sha256})
        return
    show.result(
        f"{out}: ONNX agrees with torch to {manifest.parity_error:.1g} on {manifest.parity_observations} observations "
        f"(limit {PARITY_TOLERANCE:g}). Next: reachy-kit run {out} --robot daemon"
    )
