"""Options of ``reachy-kit eval`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli.options import expand_home, path_option

MARGIN, MATCH, FILMS = 0.05, 0.02, 2
"""Defaults of ``--margin``, a share of episodes, of ``--match`` and of ``--films``."""

PoliciesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN|BUNDLE|NAME=DIR|expert|oracle|random…",
        parser=expand_home,
        help="What to evaluate; the others are compared with the first. NAME=DIR is a group: a folder with "
        "seed-0, seed-1 …, a run for each training seed.",
    ),
]
VariantOption = Annotated[
    str,
    typer.Option("--variant", help="The task's variant; with --variants, the one that the policies were trained on."),
]
VariantsOption = Annotated[
    str | None,
    typer.Option(
        "--variants",
        metavar="held-out|all|NAME,NAME",
        help="Also evaluate on these, in the batched simulator; held-out or all: every other variant.",
    ),
]
EpisodesOption = Annotated[int, typer.Option("--episodes", min=1, help="Initial states, the same for every policy.")]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="sim|daemon",
        help="Also evaluate on this robot, and compare the two robots on the same episodes.",
    ),
]
TierOption = Annotated[
    str | None, typer.Option("--tier", metavar="physics|kinematic", help="Tier of the batched simulator.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the first initial state.")]
MarginOption = Annotated[
    float | None,
    typer.Option(
        "--margin",
        min=0.0,
        max=100.0,
        show_default=f"{100 * MARGIN:g}",
        help="Largest change in success, in points, that counts as kept, in a comparison in the batched simulator.",
    ),
]
MatchOption = Annotated[
    float | None,
    typer.Option(
        "--match",
        min=0.0,
        show_default=f"{MATCH:g}",
        help="Largest difference between in-task returns that count as equal, in the same comparison.",
    ),
]
PageOption = Annotated[Path | None, path_option("--html", metavar="FILE", help="Write everything to one HTML page.")]
FilmsOption = Annotated[
    int | None,
    typer.Option(
        "--films",
        min=0,
        show_default=str(FILMS),
        help="Worst episodes to film for --html's page, of the first policy and of the last, each.",
    ),
]
