"""The arguments of each command, as dataclasses: their docstrings are what `headstart COMMAND --help` prints."""

import dataclasses
import pathlib
import typing
from typing import Annotated

import tyro
from tyro.conf import Positional

from headstart.lab.cli.argument_types import Count, Json, Names, Number, Numbers, Physics, Seeds, Steps, StepTimeout


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvArguments:
    """The arguments that all commands share which step environments."""

    physics: Physics = "auto"
    step_timeout: StepTimeout = None


@dataclasses.dataclass(frozen=True)
class Compare(EnvArguments):
    """Compare methods: what gets the target in the fewest episodes? Writes a study and its report to --out.

    Example: headstart compare --source Hopper-v5 --target Hopper-v5@torso_mass=9 --seeds 5 --out runs/hopper
    """

    source: tyro.conf.UseAppendAction[tuple[str, ...]]
    """The task that is cheap: a task string. Given several times, all of them are learned together."""
    target: str
    """The task that counts."""
    out: pathlib.Path
    """Folder of the study; the same command goes on where it was left, and a larger question runs what is new."""
    ensemble: str | None = None
    """The source, randomised: for randomize and epopt."""
    methods: Names = ("scratch", "naive", "finetune")
    """Rows of the study (`headstart methods`); settings follow a name, such as epopt:epsilon=0.2:num_envs=64."""
    learner: str | None = None
    """What every row learns by, with settings such as sac:update_to_data=2; by default each method's own."""
    reference: str = "scratch"
    """The row that verdicts are against, such as finetune; another one only judges the same runs anew."""
    source_steps: Steps = 1_000_000
    """Environment steps before the target is seen."""
    target_steps: Steps = 200_000
    """Environment steps in the target."""
    shots: Numbers = (0, 1, 10, 100)
    """Numbers of target episodes after which is judged."""
    seeds: Seeds = (0, 1, 2, 3, 4)
    """How many seeds, or which."""
    num_evals: Annotated[Count, tyro.conf.arg(name="evals")] = 12
    """Points of each curve after the shots."""
    eval_episodes: Count = 10
    """Episodes by which a point is judged."""
    threshold: Number | None = None
    """Return that counts as solved; by default 80 % of the way from the random policy to the oracle."""
    oracle: bool = True
    """Whether to learn the target with the full budget too, as a ceiling."""
    video: bool = False
    """Put clips of each method's policy into the report: before the target's first episode, and in the end."""
    tensorboard: pathlib.Path | None = None
    """Folder for live scalars: one run for each method and seed (needs the extra `tensorboard`)."""
    allow_no_shift: bool = False
    """Go on even where source and target are the same task."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Doctor(EnvArguments):
    """Examine a shift: does it exist, which parameter makes it, and is there head-room?

    Example: headstart doctor --source Hopper-v5 --target Hopper-v5@torso_mass=9
    """

    source: str
    """The task that is cheap."""
    target: str
    """The task that counts."""
    steps: Steps = 100_000
    """Environment steps of the two short trainings that tell the head-room; 0: do not train."""
    seeds: Seeds = (0, 1, 2)
    """How many seeds, or which."""
    learner: str = "ppo"
    """What the short trainings learn by: ppo, sac or dqn."""
    checkpoint: pathlib.Path | None = None
    """A policy of the source: used instead of the source's short training."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Train(EnvArguments):
    """Train a method in the source domain, and keep what it knows.

    Example: headstart train epopt --source Hopper-v5@torso_mass=3..9 --steps 1e6 --out runs/epopt
    """

    method: Positional[str]
    """A method (`headstart methods`), with settings such as epopt:epsilon=0.2; or a learner: ppo, sac, dqn."""
    source: tyro.conf.UseAppendAction[tuple[str, ...]]
    """The task, or the ensemble, to learn. Given several times, it learns all of them together."""
    out: pathlib.Path
    """Folder for the checkpoint; the same command goes on where it was left."""
    steps: Steps = 1_000_000
    """Environment steps."""
    seed: Count = 0
    """Seed of everything random."""
    save_every: Number = 10.0
    """Minutes between two saves of all that it takes to go on; 0: only when it is stopped, or asked to by SIGUSR1."""
    tensorboard: pathlib.Path | None = None
    """Folder for live scalars (needs the extra `tensorboard`)."""


@dataclasses.dataclass(frozen=True)
class Transfer(EnvArguments):
    """Spend a few episodes, and then a budget of steps, in the target, starting from a checkpoint.

    The target may show and take other things than the source: what has the same name in both comes along.

    Example: headstart transfer runs/epopt --target Hopper-v5@torso_mass=9 --shots 0,1,10 --out runs/heavy
    """

    checkpoint: Positional[pathlib.Path]
    """A folder that `headstart train` or a study wrote."""
    target: str
    """The task that counts."""
    out: pathlib.Path
    """Folder for the curve and the adapted checkpoint."""
    steps: Steps = 200_000
    """Environment steps in the target."""
    shots: Numbers = (0, 1, 10)
    """Numbers of target episodes after which is judged."""
    method: str | None = None
    """How to go on, such as finetune:layers=last, over the checkpoint's learner; by default by its method."""
    tensorboard: pathlib.Path | None = None
    """Folder for live scalars (needs the extra `tensorboard`)."""
    rename: Names = ()
    """Components of the source by their names in the target, such as thigh_joint_angle=hip_angle,..."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Play(EnvArguments):
    """Show what a checkpoint does: a clip of its policy. Example: headstart play runs/epopt --episodes 3"""

    checkpoint: Positional[pathlib.Path]
    """A folder that `headstart train`, `headstart transfer` or a study wrote (there: cells/ROW/seed-N)."""
    target: str | None = None
    """The task that it plays; by default the last that it was trained on."""
    episodes: Count = 1
    """Episodes, one after the other."""
    seed: Count = 0
    """Seed of the episodes."""
    out: pathlib.Path | None = None
    """File of the clip: .webp, .gif, or .png for a strip of stills; by default clip.webp in the checkpoint's folder."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a study's report again, and print its table. Example: headstart report runs/hopper"""

    study: Positional[pathlib.Path]
    """The folder of a study."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class ExportTable:
    """Print a study's numbers for other programs and papers. Example: headstart export-table runs/hopper --csv"""

    study: Positional[pathlib.Path]
    """The folder of a study."""
    csv: bool = False
    """Print every seed and point, a line each, as pandas reads it."""
    latex: bool = False
    """Print the table of returns and verdicts, for a paper."""
    pdf: bool = False
    """Write the learning curves to curves.pdf in the study's folder (needs the extra `figures`)."""


@dataclasses.dataclass(frozen=True)
class Methods:
    """List the methods, in the lecture's order. Example: headstart methods"""

    json: Json = False


@dataclasses.dataclass(frozen=True)
class Tasks:
    """List the environments that tasks are made of, or say what one shows and takes. Example: headstart tasks Ant-v5"""

    env: Positional[str | None] = None
    """A task; what was assumed of the spaces of an environment that is not headstart's is said too."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Parameters:
    """List an environment's parameters: what `@name=value` may change. Example: headstart parameters Hopper-v5"""

    env: Positional[str]
    """An environment, such as Hopper-v5."""
    json: Json = False


# Not written with bars: for unions of that kind tyro needs typeguard, whose import takes as long as all of its own.
Command = typing.Union[Compare, Doctor, Train, Transfer, Play, Report, ExportTable, Methods, Tasks, Parameters]  # noqa: UP007
COMMANDS = typing.get_args(Command)
