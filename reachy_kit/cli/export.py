"""``reachy-kit export``: a run becomes a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.bundle", help="The bundle to write.")],
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
        f"(limit {exported.tolerance:g}). Next: reachy-kit run {out} --robot daemon"
    )
