"""What a method wants learned before it: who learns what, in how many steps, and what is handed over."""

import dataclasses

import jax
import jax.numpy as jnp
import probes
import pytest

from headstart.core.stages import base_method, learn_source
from headstart.core.types import Learner, Method, Spec, Stage, spec, stack
from headstart.methods.forward.finetune import Finetune


@dataclasses.dataclass(frozen=True)
class Count(Method):
    """Counts its gradient steps, from what it was handed over (its parts' counts together) or from 0."""

    parts: tuple[Stage, ...] = ()

    def pretraining(self, spec: Spec) -> tuple[Stage, ...]:
        return self.parts

    def build(self, spec: Spec, target: bool) -> Learner:
        def init(key, prior):
            handed = () if prior is None else prior["pretraining"]
            return {"k": sum((params["k"] for params in handed), jnp.zeros(()))}

        return probes.counter(init=init)


TASKS = stack([probes.one(probes.Corridor())] * 2)  # 8 steps a turn


def test_parts_come_first_and_what_they_know_is_handed_over():
    inner = Count((Stage(Count(), 0.5),))  # of 40 steps: 20, and 20 of its own
    method = Count((Stage(inner, 0.5), Stage(Count(), 0.25, tasks=(1,))))  # of 80 steps: 40, 20 and 20
    points = list(learn_source(method, TASKS, 80, probes.keys(1), num_points=4))
    steps = [float(point.steps[0]) for point in points]
    assert steps == sorted(steps)
    assert steps[-1] == 3 * 24 + 20  # each rounded up to whole turns; of one task alone a turn is 4 steps
    assert points[-1].gradient_steps.tolist() == [14 * 4] == points[-1].params["k"].tolist()  # 4 a turn


def test_what_several_want_learned_is_learned_once():
    part, shared = Stage(Count(), 0.5), {}
    first, again = (
        list(learn_source(Count((part,)), TASKS, 32, probes.keys(1), num_points=4, learned=shared)) for _ in range(2)
    )
    assert list(shared) == [(0, part, 16)]
    assert (len(first), len(again)) == (4, 3)  # the second time, it is there at once
    for point in (first[-1], again[-1]):
        assert (point.params["k"].tolist(), point.steps.tolist()) == ([16.0], [32.0])
    *_, other = learn_source(Count((part,)), TASKS, 64, probes.keys(1), num_points=2, learned=shared)
    assert other.params["k"].tolist() == [32.0]  # more steps are another part


def test_what_changes_nothing_in_the_source_is_its_inner_method_there():
    method = Count((Stage(Count(), 0.5),))
    assert base_method(Finetune(method), spec(TASKS)) is method
    *_, point = learn_source(Finetune(method), TASKS, 16, probes.keys(1), num_points=1)
    assert point.params["k"].tolist() == [8.0]


@pytest.mark.parametrize("points", [1, 3])
def test_without_parts_it_is_plain_training(points: int):
    from headstart.core.train import train

    keys = probes.keys(2)
    *_, plain = train(Count().learner(spec(TASKS)), TASKS, 16, keys, num_points=points)
    *_, point = learn_source(Count(), TASKS, 16, keys, num_points=points)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), plain.state, point.state))
