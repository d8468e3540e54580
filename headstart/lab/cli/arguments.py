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
    """The arguments of all commands that step environments."""

    physics: Physics = "auto"
    step_timeout: StepTimeout = None


@dataclasses.dataclass(frozen=True)
class Compare(EnvArguments):
    """Run a study: compare methods on one source and one target. Writes the study and its report to --out.

    Example: headstart compare --source Hopper-v5 --target Hopper-v5@torso_mass=9 --seeds 5 --out runs/hopper
    """

    source: tyro.conf.UseAppendAction[tuple[str, ...]]
    """The source task, as a task string. Repeat the option to train on several sources together."""
    target: str
    """The target task, as a task string."""
    out: pathlib.Path
    """Folder of the study. The same command resumes it; with more methods or seeds, it runs only what is new."""
    ensemble: str | None = None
    """The randomized source, for methods that train on an ensemble, such as randomize and epopt."""
    methods: Names = ("scratch", "naive", "finetune")
    """Methods to compare (see `headstart methods`), with settings such as epopt:epsilon=0.2:base.num_envs=64."""
    learner: str | None = None
    """Base learner of every row, with settings such as sac:update_to_data=2; by default each method's own."""
    reference: str = "scratch"
    """The row that all others are compared with, such as finetune. Changing it runs nothing again."""
    source_steps: Steps = 1_000_000
    """Environment steps in the source."""
    target_steps: Steps = 200_000
    """Environment steps in the target."""
    shots: Numbers = (0, 1, 10, 100)
    """Target episodes after which the policy is evaluated, such as 0,1,10,100."""
    seeds: Seeds = (0, 1, 2, 3, 4)
    """Number of seeds, or a list of seeds."""
    num_evals: Annotated[Count, tyro.conf.arg(name="evals")] = 12
    """Number of evaluations after the shots."""
    eval_episodes: Count = 10
    """Episodes of each evaluation."""
    threshold: Number | None = None
    """Return that counts as solved; by default 80 % of the way from the random policy to the oracle."""
    oracle: bool = True
    """Also train on the target with the steps of both domains, as an upper reference."""
    video: bool = False
    """Add clips of each policy to the report: before the first target episode and at the end."""
    tensorboard: pathlib.Path | None = None
    """Folder for TensorBoard event files, one run for each method and seed (needs the extra `tensorboard`)."""
    allow_no_shift: bool = False
    """Run even if source and target are the same task."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Doctor(EnvArguments):
    """Compare source and target: do they differ, by which parameter, and is there something to gain?

    Example: headstart doctor --source Hopper-v5 --target Hopper-v5@torso_mass=9
    """

    source: str
    """The source task, as a task string."""
    target: str
    """The target task, as a task string."""
    steps: Steps = 100_000
    """Environment steps of the two short trainings that measure the headroom; 0: do not train."""
    seeds: Seeds = (0, 1, 2)
    """Number of seeds, or a list of seeds."""
    learner: str = "ppo"
    """Learner of the short trainings: ppo, sac or dqn."""
    checkpoint: pathlib.Path | None = None
    """Checkpoint of a source policy, used instead of the short training in the source."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Train(EnvArguments):
    """Train a method in the source domain and save a checkpoint.

    Example: headstart train epopt --source Hopper-v5@torso_mass=3..9 --steps 1e6 --out runs/epopt
    """

    method: Positional[str]
    """A method (see `headstart methods`) with settings such as epopt:epsilon=0.2, or a learner: ppo, sac, dqn."""
    source: tyro.conf.UseAppendAction[tuple[str, ...]]
    """The task or ensemble to train on. Repeat the option to train on several tasks together."""
    out: pathlib.Path
    """Folder for the checkpoint. The same command resumes the training."""
    steps: Steps = 1_000_000
    """Environment steps."""
    seed: Count = 0
    """Random seed."""
    save_every: Number = 10.0
    """Minutes between two saves of the training; 0: only on Ctrl-C, SIGTERM or SIGUSR1."""
    tensorboard: pathlib.Path | None = None
    """Folder for TensorBoard event files (needs the extra `tensorboard`)."""


@dataclasses.dataclass(frozen=True)
class Transfer(EnvArguments):
    """Adapt a checkpoint to the target with a few episodes and then a budget of steps.

    If the target has other observations or actions, components with equal names are copied.

    Example: headstart transfer runs/epopt --target Hopper-v5@torso_mass=9 --shots 0,1,10 --out runs/heavy
    """

    checkpoint: Positional[pathlib.Path]
    """A checkpoint folder of `headstart train` or of a study."""
    target: str
    """The target task, as a task string."""
    out: pathlib.Path
    """Folder for the curve and the adapted checkpoint."""
    steps: Steps = 200_000
    """Environment steps in the target."""
    shots: Numbers = (0, 1, 10)
    """Target episodes after which the policy is evaluated, such as 0,1,10,100."""
    method: str | None = None
    """Method for the target, such as finetune:layers=last; by default the checkpoint's method."""
    tensorboard: pathlib.Path | None = None
    """Folder for TensorBoard event files (needs the extra `tensorboard`)."""
    rename: Names = ()
    """Source components and their names in the target, such as thigh_joint_angle=hip_angle,..."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Play(EnvArguments):
    """Record a video of a checkpoint's policy. Example: headstart play runs/epopt --episodes 3"""

    checkpoint: Positional[pathlib.Path]
    """A checkpoint folder of `headstart train`, `headstart transfer` or a study (cells/ROW/seed-N)."""
    target: str | None = None
    """The task to run in; by default the last one that it was trained on."""
    episodes: Count = 1
    """Number of episodes."""
    seed: Count = 0
    """Seed of the episodes."""
    out: pathlib.Path | None = None
    """File of the video: .webp, .gif, or .png (a strip of frames); by default clip.webp in the checkpoint folder."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Write the report of a study again and print its tables. Example: headstart report runs/hopper"""

    study: Positional[pathlib.Path]
    """The folder of a study."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class ExportTable:
    """Export the results of a study for other programs and papers. Example: headstart export-table runs/hopper --csv"""

    study: Positional[pathlib.Path]
    """The folder of a study."""
    csv: bool = False
    """Print one line for each seed and evaluation, as CSV."""
    latex: bool = False
    """Print the table of returns and verdicts as LaTeX."""
    pdf: bool = False
    """Write the learning curves to curves.pdf in the study's folder (needs the extra `figures`)."""


@dataclasses.dataclass(frozen=True)
class Methods:
    """List the methods, in the lecture's order. Example: headstart methods"""

    json: Json = False


@dataclasses.dataclass(frozen=True)
class Tasks:
    """List the environments, or describe the observations and actions of one. Example: headstart tasks Ant-v5"""

    env: Positional[str | None] = None
    """A task to describe."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Parameters:
    """List the parameters of an environment, which `@name=value` changes. Example: headstart parameters Hopper-v5"""

    env: Positional[str]
    """An environment, such as Hopper-v5."""
    json: Json = False


# Not written with bars: for those unions tyro imports typeguard, which doubles its import time.
Command = typing.Union[Compare, Doctor, Train, Transfer, Play, Report, ExportTable, Methods, Tasks, Parameters]  # noqa: UP007
COMMANDS = typing.get_args(Command)
