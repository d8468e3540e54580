"""The map of methods: what users name, what is written down, and that every method learns and transfers."""

import dataclasses
import inspect
import json
import pathlib
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from small import BASES, LEARNT, OTHERWISE, SMALL, small, tasks_for

from headstart.core.errors import InputError
from headstart.core.iterations import steps_per_iteration
from headstart.core.stages import learn_source
from headstart.core.train import init_loop_state
from headstart.core.types import Method, TrainState, spec
from headstart.lab.checkpoint.save_load import load, save
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.study import study_folder
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.learners.uniform import Uniform
from headstart.methods import CLASSES, LEARNERS, METHODS, describe, rebuild
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.active import ActiveSampling
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.joint import Joint
from headstart.methods.multitask.popart import PopArt
from headstart.methods.multitask.separate import Separate
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.randomize import Randomize
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.uposi import UPOSI
from headstart.methods.strings import find, find_any, find_learner
from headstart.methods.values.deep_successor import DeepSuccessorFeatures
from headstart.protocol.prior import Training
from headstart.protocol.transfer import adapt, evaluate_state, keys

# ------------------------------------------------------------------------------------------------ every method


def reloaded(stages: tuple[Training, ...], state: TrainState, folder: pathlib.Path) -> TrainState:
    """Returns the state of all seeds, loaded from a checkpoint of each of them."""
    *before, (method, of, target) = stages
    each = []
    for seed in range(len(state.updates)):
        known = study_folder.select_seed(state, seed)
        trained = Trained(method, of, known, "Corridor", 1, seed, history=tuple(before), adapted=target)
        each.append(load(save(trained, folder / f"{len(stages)}-{seed}")))
        assert each[-1].stages == stages
    return jax.tree.map(lambda *x: np.concatenate(x), *(one.state for one in each))


@pytest.mark.parametrize(("method", "discrete"), LEARNT)
def test_every_method_learns_in_the_source_adapts_one_shot_and_is_kept(method: Method, discrete: bool, tmp_path):
    source, target = tasks_for(method, discrete)
    learner, adapted = method.learner(spec(source)), method.learner(spec(target), target=True)
    seeds, stage = keys([0, 1]), Training(method, spec(source), False)
    *_, learned = learn_source(method, source, 8 * steps_per_iteration(learner, source), seeds.source, num_points=2)
    assert (learned.gradient_steps >= 2).all() or learner.phases == ()
    state = reloaded((stage,), learned.state, tmp_path)
    probes.check_same(state, learned.state)

    before, after = adapt(method, state, target, 1, [1], seeds, eval_episodes=2)
    assert (before.shots, after.shots) == (0, 1)
    assert (before.steps.tolist(), after.episodes.tolist()) == ([0.0, 0.0], [1.0, 1.0])
    assert ((after.steps >= min(3, target.env.horizon)) & (after.steps <= target.env.horizon)).all()
    assert np.isfinite(before.returns).all()
    assert np.isfinite(after.returns).all()
    assert probes.different(before.state.params, after.state.params) == (method != Uniform())
    kept = reloaded((stage, Training(method, spec(target), True)), after.state, tmp_path)
    probes.check_same(kept, after.state)
    np.testing.assert_array_equal(evaluate_state(adapted, kept, target, 2, seeds.evaluation), after.returns)
    policy = load(tmp_path / "2-0").policy(jax.tree.map(lambda x: x[0], target))
    assert policy.act(np.zeros(target.env.observation_space.shape)).shape == (() if discrete else (1,))


KNOBS = {
    "layers": Finetune(SMALL, layers="last"),
    "reset_head": Finetune(SMALL, reset_head=True),
    "reset": Finetune(SMALL, reset=("value",)),
    "freeze": Finetune(SMALL, freeze=("policy.net.layers.0",)),
    "rates": Finetune(SMALL, learning_rate_scales=("policy=0.1",)),
    "l2_sp": Finetune(SMALL, l2_sp=0.01),
    "optimizer": Finetune(SMALL, optimizer="kept"),
    "fresh normaliser": Finetune(SMALL, normalizer="fresh"),
    "frozen normaliser": Finetune(SMALL, normalizer="frozen"),
    "cool": Finetune(SMALL, scale_std=2.0),
    "l2_sp of SAC": Finetune(BASES[SAC], l2_sp=0.01, layers="last"),
    "l2_sp of DQN": Finetune(BASES[DQN], l2_sp=0.01, reset_head=True),
    "l2_sp of UPOSI": Finetune(small(UPOSI), l2_sp=0.01),
}
OF_SEVERAL = {kind.__name__: small(kind) for kind in (ActiveSampling, Distil, Joint, PopArt, Separate)}


@pytest.mark.parametrize(
    ("method", "several"),
    [*((method, 1) for method in KNOBS.values()), *((method, 3) for method in OF_SEVERAL.values())],
    ids=[*KNOBS, *OF_SEVERAL],
)
def test_every_knob_of_finetune_and_what_several_sources_left_is_kept(method: Method, several: int, tmp_path):
    """After a transfer, as a study's cell is, and after a transfer of that.

    No step is taken: a loop leaves the arrays that it begins with, in their shapes.
    """
    source, target = map(spec, tasks_for(method, not isinstance(getattr(method, "base", None), SAC)))
    told = several if several > 1 else 0
    here = Training(method, source._replace(num_tasks=several, context_dim=told), False)
    there = Training(method, target._replace(context_dim=told), True)
    for stages in ((there,), (here, there), (here, there, there)):  # from nothing; as a cell is; once more
        state = None
        for stage in stages:
            state = init_loop_state(method.learner(stage.spec, stage.target), keys([0, 1]).target, state).state
        assert state is not None
        state = jax.tree.map(lambda x: x + jnp.arange(x.size, dtype=x.dtype).reshape(x.shape), state)
        probes.check_same(reloaded(stages, state, tmp_path), state)


@pytest.mark.parametrize(("method", "discrete"), OTHERWISE.values(), ids=OTHERWISE)
def test_it_fits_the_other_kind_of_action_and_other_learners(method: Method, discrete: bool):
    probes.check_fits(method, *tasks_for(method, discrete))


def test_the_map_holds_every_method_there_is():
    made = {type(entry.make()) for entry in METHODS.values()} | {*LEARNERS.values(), Uniform}
    assert made == set(CLASSES.values())
    lectured = ["scratch", "naive", "finetune", "maxent", "smerl", "dann", "mmd", "darc"]
    lectured += ["randomize", "epopt", "uposi", "recurrent"]
    lectured += ["joint", "her", "popart", "active", "distil", "actor_mimic", "sf", "deep_sf", "separate", "up"]
    assert list(METHODS) == lectured  # in the lecture's order
    for name, entry in METHODS.items():
        assert entry.name == name
        assert entry.about
        assert entry.section


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_method_says_what_each_of_its_fields_is(kind: Any):
    lines = inspect.getsource(kind).splitlines()
    for field in dataclasses.fields(kind):
        (line,) = [x for x in lines if x.startswith(f"    {field.name}: ")]
        assert "  # " in line, f"{kind.__name__}.{field.name} is not explained"


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_word_that_is_none_of_those_that_a_field_takes_is_refused(kind: Any):
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if typing.get_origin(hints[field.name]) is typing.Literal:
            method = kind()
            object.__setattr__(method, field.name, "nothing")  # as where types are not checked
            with pytest.raises(InputError, match=rf"{field.name}='nothing'\) is unknown: {field.name} is one of"):
                method.__post_init__()


def test_randomize_changes_the_task_and_nothing_else():
    known = spec(probes.task(probes.Corridor()))
    for target in (False, True):
        assert Randomize(SMALL).learner(known, target) is SMALL.learner(known, target)


# ------------------------------------------------------------------------------------------------ written down


@pytest.mark.parametrize(
    "method",
    [
        PPO(hidden=(3, 5), target_kl=0.1, activation="relu"),
        Uniform(),
        Finetune(PPO(clip_eps=0.3), freeze=("policy.net", "value"), normalizer="fresh"),
        EPOpt(Finetune(Randomize(SMALL)), epsilon=0.25),
        Distil(SMALL, (DQN(hidden=(2,)), PPO())),
    ],
    ids=lambda method: type(method).__name__,
)
def test_what_is_written_down_comes_back_as_it_was(method: Method):
    assert rebuild(json.loads(json.dumps(describe(method)))) == method


@pytest.mark.parametrize(
    "data",
    [{"class": "Sorcery"}, {"class": "PPO", "magic": 1}, {"clip_eps": 0.1}, {"class": "PPO", "clip_eps": -1}],
    ids=str,
)
def test_what_this_version_does_not_know_is_said(data: dict[str, Any]):
    with pytest.raises(InputError):
        rebuild(data)


# ------------------------------------------------------------------------------------------------ as users name them


NAMED: dict[str, Method] = {
    "scratch": PPO(),
    "naive:discount=0.9:hidden=32+16:anneal_learning_rate=false:num_steps=1e2": PPO(
        discount=0.9, hidden=(32, 16), anneal_learning_rate=False, num_steps=100
    ),
    "naive:target_kl=0.01": PPO(target_kl=0.01),
    "naive:target_kl=none": PPO(),
    "finetune:layers=last:freeze=policy.net+value": Finetune(layers="last", freeze=("policy.net", "value")),
    "randomize:base.activation=relu": Randomize(PPO(activation="relu")),
    "finetune:base=sac:base.update_to_data=2:layers=last": Finetune(SAC(update_to_data=2.0), layers="last"),
    "epopt:epsilon=0.2:base.target_kl=0.02": EPOpt(PPO(entropy_coef=1e-3, target_kl=0.02), epsilon=0.2),
    "distil:teachers=dqn+ppo:distillation_fraction=0.3": Distil(teachers=(DQN(), PPO()), distillation_fraction=0.3),
    "actor_mimic:rollout_policy=teachers": Distil(
        temperature=1.0, feature_coef=0.01, epsilon=0.1, rollout_policy="teachers"
    ),
    "recurrent:memory=history:base=sac": Recurrent(SAC(), memory="history"),
}


@pytest.mark.parametrize(("text", "method"), NAMED.items(), ids=NAMED)
def test_a_name_and_settings_make_a_method(text: str, method: Method):
    entry, found = find(text)
    assert found == method
    assert entry is METHODS[text.partition(":")[0]]


def test_every_row_can_learn_by_another_learner():
    learner = find_learner("dqn:n_step=2")
    assert learner == DQN(n_step=2)
    for text in ("scratch", "naive"):
        assert find(text, learner)[1] == learner
    assert find("finetune:layers=last:base.target_update_period=9", learner)[1] == Finetune(
        DQN(n_step=2, target_update_period=9), layers="last"
    )


def test_a_method_without_a_base_takes_no_other_learner():
    with pytest.raises(InputError, match="sf learns in a way of its own"):
        find("sf", DQN())


def test_a_learner_is_named_as_a_method_is():
    assert find_any("sac:update_to_data=0.5") == SAC(update_to_data=0.5)
    assert find_any("epopt:epsilon=0.5") == EPOpt(epsilon=0.5)
    small = PPO(hidden=(8,))
    for before in (small, EPOpt(small)):  # what goes on is of the sizes that were learned
        assert find_any("finetune:layers=last", after=before) == Finetune(small, layers="last")
    assert find_any("finetune:base=sac", after=small) == Finetune(SAC())
    assert find_any("dqn", after=small) == DQN()
    assert find_any("deep_sf", after=small) == DeepSuccessorFeatures()
    assert find_any("finetune", after=DeepSuccessorFeatures()) == Finetune()
    with pytest.raises(InputError, match=r"^There is no learner 'scratch'; did you mean sac"):
        find_learner("scratch")
    with pytest.raises(InputError, match=r"^There is no method 'dqm'; did you mean dqn\?$"):
        find_any("dqm")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("finetun", "There is no method 'finetun'; did you mean finetune?"),
        (
            "zzz",
            "There is no method 'zzz'; did you mean scratch or naive or finetune or maxent or smerl or dann",
        ),
        (
            "epopt:epsilom=1",
            "epopt:epsilom=1 sets no field of EPOpt; FIELD=VALUE takes base (one of ppo, sac, dqn, qlearning, or "
            "module:Class),",
        ),
        ("sf:act_by=best", "sf:act_by=best does not fit; act_by takes one of gpi, last."),
        ("epopt:base=1", "epopt:base=1 sets no field of EPOpt;"),
        ("epopt:epsilon.x=1", "epopt:epsilon.x=1 sets no field of EPOpt;"),
        ("epopt:base.clap=1", "epopt:base.clap=1 sets no field of PPO; FIELD=VALUE takes learning_rate,"),
        ("epopt:epsilon", "epopt:epsilon does not fit; epsilon takes a number."),
        (
            "distil:teachers=ppo+zzz",
            "distil:teachers=ppo+zzz does not fit; teachers takes one of ppo, sac, dqn, qlearning, or module:Class, "
            "or several",
        ),
        (
            "uposi:identification_fraction=1",
            "UPOSI(identification_fraction=1.0) is out of range: identification_fraction is within (0, 1).",
        ),
        ("epopt:epsilon=nan", "epopt:epsilon=nan does not fit; epsilon takes a number."),
        ("epopt:epsilon=2", "EPOpt(epsilon=2.0) is out of range: epsilon is within (0, 1]."),
        ("scratch:num_envs=1.5", "scratch:num_envs=1.5 does not fit; num_envs takes a whole number."),
        ("scratch:num_envs=1e999", "scratch:num_envs=1e999 does not fit; num_envs takes a whole number."),
        (
            "scratch:anneal_learning_rate=maybe",
            "scratch:anneal_learning_rate=maybe does not fit; anneal_learning_rate takes true or false.",
        ),
        ("scratch:target_kl=x", "scratch:target_kl=x does not fit; target_kl takes a number, or none."),
        (
            "scratch:hidden=x",
            "scratch:hidden=x does not fit; hidden takes a whole number, or several with + between them.",
        ),
        ("finetune:layers=first", "finetune:layers=first does not fit; layers takes one of all, last."),
    ],
)
def test_what_is_no_method_or_no_setting_gets_its_sentence(text: str, sentence: str):
    with pytest.raises(InputError) as raised:
        find(text)
    assert str(raised.value).startswith(sentence)
    assert str(raised.value).endswith((".", "?"))
