"""Options of ``reachy-kit train imitation`` and ``train rl`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli.options import expand_home, path_option

DatasetsOption = Annotated[
    list[Path],
    path_option(
        "--dataset",
        help="Folder of a LeRobot v3 dataset of this robot, recorded with reachy-kit or not; may be repeated.",
    ),
]
ImitationOutOption = Annotated[
    Path,
    path_option(
        "--out",
        help="Folder of the run. An unfinished run is resumed, a finished one replaced by a complete new one.",
    ),
]
PolicyOption = Annotated[
    str, typer.Option("--policy", help="The policy to train: chunk, or LeRobot's act or diffusion.")
]
ObservedOption = Annotated[
    str,
    typer.Option(
        "--obs-type",
        help="What it observes besides the pose: state (perception's features), or pixels (the images alone) of a "
        "dataset recorded with --camera; LeRobot's policies take pixels_state (both) too. Default: state.",
    ),
]
SplitSeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the split, the weights and the batches.")]
FreshFitOption = Annotated[
    bool, typer.Option("--fresh", help="Start over, and discard an unfinished training in --out.")
]
TrackOption = Annotated[
    bool, typer.Option("--track", help="Write TensorBoard's events into the folder tensorboard beside --out.")
]
DaggerOption = Annotated[
    int,
    typer.Option(
        "--dagger",
        min=0,
        metavar="N",
        help="Then N times: let the policy act in the simulator, have the expert correct it, and fit again; "
        "the iterations and the growing copy of the dataset lie in OUT.dagger.",
    ),
]
DatasetTaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        parser=expand_home,
        metavar="NAME|FILE.py",
        help="The task that the dataset shows, if it does not say so; of a task of your own, its file.",
    ),
]
HeadCameraOption = Annotated[
    str, typer.Option("--camera", metavar="NAME", help="The head's camera, if the dataset has several others.")
]
DaggerEpisodesOption = Annotated[
    int, typer.Option("--dagger-episodes", min=1, help="Corrected episodes that each iteration of --dagger adds.")
]
DaggerDeviceOption = Annotated[
    str,
    typer.Option(
        "--dagger-teleop",
        parser=expand_home,
        metavar="NAME[:ARGUMENT]",
        help="For --dagger: a person corrects with this device instead of the expert, and takes over by the key c.",
    ),
]

ReinforcementOutOption = Annotated[
    Path, path_option("--out", help="Folder of the run; the same command again resumes it.")
]
InitOption = Annotated[
    Path | None, path_option("--init", help="Imitation run to start from; not needed for --method scratch.")
]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method",
        help="ppo: PPO, starting from the imitation. scratch: PPO without one. bc-continue: imitate the "
        "expert further. filtered-bc: imitate its own successes. residual: keep the imitation, and correct its "
        "actions.",
    ),
]
CurriculumOption = Annotated[
    str,
    typer.Option(
        "--variant",
        metavar="NAME[,NAME…]",
        help="The task's variant to learn in. Several are a curriculum, with as many iterations in each; "
        "evaluations are made in the last one.",
    ),
]
TierOption = Annotated[
    str, typer.Option("--tier", help="kinematic: fast. physics: MuJoCo. both: kinematic first, physics to finish.")
]
RewardOption = Annotated[str, typer.Option("--reward", help="dense, or sparse: only success counts.")]
RandomizationOption = Annotated[
    str,
    typer.Option(
        "--randomization",
        parser=expand_home,
        metavar="off|mild|wide|FILE.json",
        help="off, mild, wide, or a JSON file of reachy-kit sysid.",
    ),
]
ScratchObservedOption = Annotated[
    str,
    typer.Option(
        "--obs-type",
        help="For --method scratch: state (perception's features) or pixels. With --init, the kind of that run.",
    ),
]
KlOption = Annotated[
    float | None, typer.Option("--kl", help="Weight of the KL divergence from the start; 0 if not given.")
]
IterationsOption = Annotated[
    int | None, typer.Option("--iterations", min=1, help="Iterations of collecting episodes and learning.")
]
ExplorationSeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of episodes, exploration and updates.")]
FreshRunOption = Annotated[
    bool,
    typer.Option("--fresh", help="Start over: discard an unfinished training in --out, and replace a finished run."),
]
