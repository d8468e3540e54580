"""Methods from outside of headstart: written to a file, trained, saved, loaded, compared."""

import importlib.metadata
import pathlib
import re
import sys
import types

import pytest

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.types import Env, Method
from headstart.methods import all_entries, describe, find_entry, plugins, rebuild
from headstart.methods.strings import find, find_any, find_learner, method_string
from headstart.protocol.study_config import StudyConfig, row_name
from headstart.tasks import registry
from headstart.tasks.worlds import CartPole

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adding-a-method.md"
SMALL = "base.hidden=4:base.num_steps=8:base.num_envs=2:base.batch_size=8:base.num_epochs=1"


@pytest.fixture
def anchored(tmp_path, monkeypatch):
    """Puts the method that the page shows into a file outside of the package. Returns its module's name."""
    code = re.search(r"```python\n(\"\"\"Anchored.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "anchored_outside.py").write_text(code[1])
    monkeypatch.syspath_prepend(tmp_path)
    yield "anchored_outside"
    sys.modules.pop("anchored_outside", None)


def test_the_page_s_method_is_trained_saved_loaded_and_compared(anchored, tmp_path):
    text = f"{anchored}:Anchored:weight=0.3:{SMALL}"
    trained = hs.train(text, "CartPole-v1", steps=64)
    hs.save(trained, tmp_path / "kept")
    loaded = hs.load(tmp_path / "kept")
    assert loaded.method == trained.method == find_any(text)
    assert (hs.evaluate(loaded, "CartPole-v1", 3) == hs.evaluate(trained, "CartPole-v1", 3)).all()
    after = hs.transfer(loaded, "CartPole-v1@length=1", steps=32, shots=(0, 1), num_evals=1, eval_episodes=1)
    hs.save(after.trained, tmp_path / "adapted")
    assert hs.load(tmp_path / "adapted").method == trained.method
    budgets = {"source_steps": 64, "target_steps": 32, "shots": (0, 1), "num_evals": 1, "eval_episodes": 1}
    target, out = "CartPole-v1@length=1", tmp_path / "study"
    data = hs.compare([trained.method], "CartPole-v1", target, out, oracle=False, seeds=(0,), **budgets)
    row = data["methods"][row_name(method_string(trained.method))]
    assert not row.get("failed")


LEARNER = '''"""A learner from outside."""

import dataclasses

from headstart import PPO
from headstart.core.types import Learner, Method, Spec


@dataclasses.dataclass(frozen=True)
class Slow(Method):
    """PPO with a small learning rate."""

    learning_rate: float = 1e-5

    def build(self, spec: Spec, target: bool) -> Learner:
        return PPO(learning_rate=self.learning_rate, hidden=(4,), num_steps=8, num_envs=2, num_epochs=1).learner(spec)
'''


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Puts a learner into a file outside of the package. Returns `module:Class`."""
    (tmp_path / "slow_outside.py").write_text(LEARNER)
    monkeypatch.syspath_prepend(tmp_path)
    yield "slow_outside:Slow"
    sys.modules.pop("slow_outside", None)


def test_a_learner_from_outside_is_a_base_and_the_learner_of_a_study(slow):
    learner = find_learner(f"{slow}:learning_rate=1e-4")
    assert method_string(learner) == f"{slow}:learning_rate=0.0001"
    finetune = find_any(f"finetune:base={slow}:base.learning_rate=1e-4:layers=last")
    assert finetune == hs.Finetune(learner, layers="last")
    assert find_any(method_string(finetune)) == rebuild(describe(finetune)) == finetune
    assert find_any("finetune", after=finetune).base_learner() == learner
    distil = find_any(f"distil:teachers={slow}+dqn")
    assert distil == hs.Distil(teachers=(find_learner(slow), hs.DQN()))
    assert find_any(method_string(distil)) == distil
    rows = StudyConfig(
        "CartPole-v1", "CartPole-v1@length=1", ("finetune",), learner=f"{slow}:learning_rate=1e-4"
    ).rows()
    methods = {entry.name: method for entry, method in rows}
    assert methods["scratch"] == methods["oracle"] == learner
    assert methods["finetune"] == hs.Finetune(learner)


def test_a_study_runs_with_a_learner_from_outside(slow, tmp_path):
    out = tmp_path / "study"
    budgets = {"source_steps": 16, "target_steps": 16, "shots": (0, 1), "num_evals": 1, "eval_episodes": 1}
    data = hs.compare(["scratch"], "CartPole-v1", "CartPole-v1@length=1", out, learner=slow, seeds=(0,), **budgets)
    assert not data["methods"]["scratch"].get("failed")
    assert hs.load(out / "cells" / "scratch" / "seed-0").method == find_learner(slow)


def test_a_method_over_a_learner_is_no_learner(anchored, slow):
    with pytest.raises(InputError, match="is a method over a base learner; give a learner, such as ppo, sac"):
        find_learner(f"{anchored}:Anchored")
    with pytest.raises(InputError, match="There is no learner 'epopt'"):
        find_learner("epopt")
    with pytest.raises(InputError, match="The module of the method no_such_module:Slow cannot be imported"):
        find_any("finetune:base=no_such_module:Slow")
    with pytest.raises(InputError, match=r"base \(one of ppo, sac, dqn, qlearning, or module:Class\)"):
        find_any("finetune:base=Slow")


def test_its_strings_and_its_plain_data_make_it_again(anchored):
    method = find_any(f"{anchored}:Anchored:tau=0.5:base=sac")
    assert find_any(method_string(method)) == method
    assert rebuild(describe(method)) == method
    entry, _ = find(f"{anchored}:Anchored")
    assert (entry.learns_on, entry.adapts) == ("source", True)
    assert entry.about == "the base learner with a penalty that pulls its policy to a moving average of itself"


@pytest.mark.parametrize(
    "method",
    [
        hs.PPO(hidden=(8, 4), target_kl=0.1),
        hs.EPOpt(hs.SAC(batch_size=8), epsilon=0.5),
        hs.Finetune(hs.Recurrent(hs.DQN(n_step=2), memory="history"), freeze=("policy.net", "value")),
        hs.Distil(teachers=(hs.DQN(), hs.PPO())),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_method_s_string_makes_it_again(method):
    assert find_any(method_string(method)) == method


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("no_such_module:Method", "The module of the method no_such_module:Method cannot be imported"),
        ("headstart:nothing", "headstart has no method nothing"),
        ("headstart.core.types:Method_", "headstart.core.types has no method Method_"),
    ],
)
def test_what_is_not_there_gets_its_sentence(text, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        find_any(text)


def test_a_file_cannot_import_a_module(monkeypatch):
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    data = {"class": "antigravity:Method"}
    with pytest.raises(
        InputError, match=r"a file must not import modules; import antigravity first, or set HEADSTART_ME"
    ):
        rebuild(data)
    assert "antigravity" not in sys.modules
    monkeypatch.setenv("HEADSTART_METHODS", "one,headstart.no_such_module")
    with pytest.raises(InputError, match="cannot be imported"):
        rebuild({"class": "headstart.no_such_module:Method"})


def test_a_class_that_cannot_be_imported_again_cannot_be_saved():
    class Local(hs.PPO):
        pass

    with pytest.raises(InputError, match="cannot be saved: a checkpoint names module:Class"):
        describe(Local())


def test_a_package_s_entry_points_have_short_names(anchored, monkeypatch):
    point = importlib.metadata.EntryPoint("anchored", f"{anchored}:Anchored", plugins.GROUP)
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [point])
    plugins.entry_points.cache_clear()
    try:
        assert isinstance(find_any("anchored:weight=0.5"), Method)
        assert find_entry("anchored") in all_entries()
    finally:
        plugins.entry_points.cache_clear()


def test_a_package_s_envs_have_names_too(monkeypatch):
    made = types.SimpleNamespace(value="package:env", load=lambda: CartPole)
    broken = types.SimpleNamespace(value="package:broken", load=lambda: int)
    monkeypatch.setattr(registry, "plugins", lambda: {"Mine-v0": made, "Broken-v0": broken})
    assert isinstance(hs.task("Mine-v0@length=0.7").env, Env)
    with pytest.raises(InputError, match="package:broken returned int; it has to return a headstart Env"):
        hs.task("Broken-v0")
