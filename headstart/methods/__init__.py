"""The map of the lecture: every method, in the lecture's order. The command line, the docs and the tests read it.

`scratch` and `naive` are not transfer methods but the rows that each has to beat: training on the target from scratch,
and running the source's policy on the target without training.
"""

import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Literal

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.learners.uniform import Uniform
from headstart.methods.adaptation.dann import DANN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.adaptation.mmd import MMD
from headstart.methods.forward.finetune import Finetune
from headstart.methods.forward.maxent import MaxEnt
from headstart.methods.forward.smerl import SMERL
from headstart.methods.multitask.active import ActiveSampling
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.her import HER
from headstart.methods.multitask.joint import Joint
from headstart.methods.multitask.popart import PopArt
from headstart.methods.multitask.separate import Separate
from headstart.methods.plugins import check_trusted, class_name, entry_points, load_class, summary
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.randomize import Randomize
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.methods.values.deep_successor import DeepSuccessorFeatures
from headstart.methods.values.successor_features import SuccessorFeatures

Role = Literal["method", "scratch", "naive", "oracle", "random"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a study: a method, and what it trains on."""

    name: str
    make: Callable[..., Method]  # keyword arguments are the method's fields
    section: str  # of the lecture
    learns_on: Literal["nothing", "source", "ensemble", "both"]  # before the target; both: beside it
    adapts: bool  # whether it trains in the target
    about: str
    role: Role = "method"
    added_for: str | None = None  # of a scratch or oracle that a study adds: the learner of the rows it is for


METHODS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("scratch", PPO, "control", "nothing", True, "trains on the target from scratch", "scratch"),
        Entry(
            "naive", PPO, "control", "source", False, "runs the source's policy on the target without training", "naive"
        ),
        Entry(
            "finetune", Finetune, "forward transfer", "source", True, "continues in the target from the source's params"
        ),
        Entry(
            "maxent",
            MaxEnt,
            "forward transfer",
            "source",
            True,
            "keeps the source's policy random, then lowers its temperature",
        ),
        Entry(
            "smerl", SMERL, "forward transfer", "source", True, "trains several solutions, then tries each for episodes"
        ),
        Entry(
            "dann", DANN, "domain adaptation", "both", True, "trains in the source with features that hide the domain"
        ),
        Entry(
            "mmd", MMD, "domain adaptation", "both", True, "trains in the source with features alike in both domains"
        ),
        Entry(
            "darc",
            DARC,
            "domain adaptation",
            "both",
            True,
            "trains in the source, with rewards corrected by target steps",
        ),
        Entry(
            "randomize",
            Randomize,
            "randomization",
            "ensemble",
            True,
            "trains on an ensemble of sources, then continues",
        ),
        Entry(
            "epopt", EPOpt, "randomization", "ensemble", True, "trains on the ensemble's worst paths, then continues"
        ),
        Entry(
            "uposi",
            UPOSI,
            "randomization",
            "ensemble",
            True,
            "trains a policy for all parameters, and an identifier of them",
        ),
        Entry(
            "recurrent", Recurrent, "randomization", "ensemble", True, "trains a policy with a memory on the ensemble"
        ),
        Entry(
            "joint", Joint, "multi-task transfer", "source", True, "trains one policy on all sources, then continues"
        ),
        Entry("her", HER, "multi-task transfer", "source", True, "replays transitions with goals that were reached"),
        Entry(
            "popart", PopArt, "multi-task transfer", "source", True, "like joint, with each source's returns normalized"
        ),
        Entry(
            "active",
            ActiveSampling,
            "multi-task transfer",
            "source",
            True,
            "like joint, but samples the worst sources most",
        ),
        Entry(
            "distil",
            Distil,
            "multi-task transfer",
            "source",
            True,
            "trains a teacher for each source, then one student of all",
        ),
        Entry(
            "actor_mimic",
            functools.partial(Distil, temperature=1.0, feature_coef=0.01, epsilon=0.1),
            "multi-task transfer",
            "source",
            True,
            "like distil, with the paper's constants and teachers' features",
        ),
        Entry(
            "sf",
            SuccessorFeatures,
            "values",
            "source",
            True,
            "keeps each policy's successor features and acts by the best",
        ),
        Entry(
            "deep_sf",
            DeepSuccessorFeatures,
            "values",
            "source",
            True,
            "like sf, with networks, on all sources together",
        ),
        Entry(
            "separate", Separate, "control", "source", True, "trains on each source separately, then continues from one"
        ),
        Entry("up", UniversalPolicy, "control", "ensemble", True, "is given the parameters, also in the target"),
    )
}

LEARNERS: dict[str, type[Method]] = {"ppo": PPO, "sac": SAC, "dqn": DQN, "qlearning": QLearning}  # to learn by

TRANSFER = (
    *(Finetune, MaxEnt, SMERL, DANN, MMD, DARC),
    *(Randomize, EPOpt, UniversalPolicy, UPOSI, Recurrent),
    *(Joint, HER, PopArt, ActiveSampling, Distil, Separate),
    *(SuccessorFeatures, DeepSuccessorFeatures),
)
CLASSES: dict[str, type[Method]] = {kind.__name__: kind for kind in (*LEARNERS.values(), Uniform, *TRANSFER)}


def find_entry(name: str) -> Entry | None:
    """Returns the entry of that name: one of the map, or of a method from outside of headstart.

    Classes from outside may have `learns_on` and `adapts`, as an Entry does; else they learn on the source and adapt.
    Raises InputError where a module cannot be imported.
    """
    if name in METHODS:
        return METHODS[name]
    kind = load_class(name)
    if kind is None:
        return None
    learns_on: typing.Any = getattr(kind, "learns_on", "source")
    adapts = bool(getattr(kind, "adapts", True))
    return Entry(name, kind, "from outside", learns_on, adapts, summary(kind))


def all_entries() -> list[Entry]:
    """Returns the entries of the map, and those of installed packages."""
    added = [entry for name in entry_points() if name not in METHODS and (entry := find_entry(name)) is not None]
    return [*METHODS.values(), *added]


def describe(method: Method) -> dict[str, typing.Any]:
    """Returns a method as plain data: its class, and its fields.

    Raises InputError where its class is one of yours that Python could not import again.
    """
    kind = type(method)
    fields = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # pyright: ignore[reportArgumentType]
    name = kind.__name__ if CLASSES.get(kind.__name__) is kind else class_name(kind)
    return {"class": name, **{name: _plain(x) for name, x in fields.items()}}


def _plain(x: typing.Any) -> typing.Any:
    if isinstance(x, tuple):
        return [_plain(one) for one in x]
    return describe(x) if isinstance(x, Method) else x


def rebuild(data: dict[str, typing.Any]) -> Method:
    """Returns the method that `describe` wrote. Raises InputError where there is no such method or field."""
    fields = {name: _built(x) for name, x in data.items() if name != "class"}
    try:
        name = data["class"]
        kind = CLASSES.get(name)
        if kind is None and isinstance(name, str):
            check_trusted(name)
            kind = load_class(name)
        if kind is None:
            raise KeyError(name)
        return kind(**fields)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"This version of headstart has no method like {data!r} ({error}); use the version that wrote it."
        ) from None


def _built(x: typing.Any) -> typing.Any:
    if isinstance(x, list | tuple):
        return tuple(_built(one) for one in x)
    return rebuild(x) if isinstance(x, dict) else x
