"""The hyper-parameters that all programs of a row share, and their name in each program.

A peer without such a setting keeps its default: rejax clips gradients component by component and clips the value loss,
SBX has separate optimizers for actor and critic, and only headstart normalizes advantages over the complete rollout.
Observations and rewards are normalized by headstart, and by VecNormalize around SB3 and SBX. Rejax runs without, which
is less work for it.
"""

from typing import NamedTuple


class PPO(NamedTuple):
    """Proximal policy optimisation; tanh between the layers. The names are headstart's."""

    num_envs: int = 16  # parallel environments
    num_steps: int = 128  # steps of each in a rollout
    num_epochs: int = 10
    batch_size: int = 64  # transitions in a gradient step
    hidden: tuple[int, ...] = (64, 64)  # of the policy, and of the critic
    learning_rate: float = 3e-4  # held
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip_eps: float = 0.2
    entropy_coef: float = 0.0
    value_coef: float = 0.5
    max_grad_norm: float = 0.5

    @property
    def rollout(self) -> int:
        return self.num_envs * self.num_steps

    def ours(self) -> str:
        """Returns the learner, as headstart's command line takes it."""
        return f"ppo:anneal_learning_rate=false:{_fields(self)}"

    def sb3(self) -> tuple[str, ...]:
        """Returns arguments for the command lines of SB3 and SBX."""
        names = {
            "n_steps": self.num_steps,
            "n_epochs": self.num_epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "gamma": self.discount,
            "gae_lambda": self.gae_lambda,
            "clip_range": self.clip_eps,
            "ent_coef": self.entropy_coef,
            "vf_coef": self.value_coef,
            "max_grad_norm": self.max_grad_norm,
            "policy_kwargs": {"net_arch": list(self.hidden)},  # tanh is SB3's default too
        }
        return "--copies", str(self.num_envs), *_words(names)

    def rejax(self) -> tuple[str, ...]:
        """Returns arguments for rejax's command line."""
        names = {
            "num_envs": self.num_envs,
            "num_steps": self.num_steps,
            "num_epochs": self.num_epochs,
            "num_minibatches": self.rollout // self.batch_size,
            "learning_rate": self.learning_rate,
            "gamma": self.discount,
            "gae_lambda": self.gae_lambda,
            "clip_eps": self.clip_eps,
            "ent_coef": self.entropy_coef,
            "vf_coef": self.value_coef,
            "max_grad_norm": self.max_grad_norm,
            "agent_kwargs": {"hidden_layer_sizes": self.hidden, "activation": "tanh"},
        }
        return _words(names)

    def brax(self) -> tuple[str, ...]:
        """Returns arguments for Brax's command line. Its minibatches are complete rollouts of an environment."""
        names = {
            "num_envs": self.num_envs,
            "unroll_length": self.num_steps,
            "num_updates_per_batch": self.num_epochs,
            "batch_size": self.batch_size // self.num_steps,
            "num_minibatches": self.rollout // self.batch_size,
            "learning_rate": self.learning_rate,
            "discounting": self.discount,
            "gae_lambda": self.gae_lambda,
            "clipping_epsilon": self.clip_eps,
            "entropy_cost": self.entropy_coef,
            "vf_loss_coefficient": self.value_coef,
            "max_grad_norm": self.max_grad_norm,
        }
        return "--hidden", *map(str, self.hidden), *_words(names)


class SAC(NamedTuple):
    """Soft actor-critic with a learned temperature; ReLU between the layers. The names are headstart's."""

    num_envs: int = 1
    batch_size: int = 256
    buffer_size: int = 1_000_000
    learning_starts: int = 1_000  # steps at random
    update_to_data: int = 1  # gradient steps for each environment step
    hidden: tuple[int, ...] = (256, 256)  # of the policy, and of each of the two critics
    learning_rate: float = 3e-4
    discount: float = 0.99
    tau: float = 0.005

    def ours(self) -> str:
        """Returns the learner, as headstart's command line takes it."""
        return f"sac:{_fields(self)}"

    def sb3(self) -> tuple[str, ...]:
        """Returns arguments for the command lines of SB3 and SBX."""
        names = {
            "batch_size": self.batch_size,
            "buffer_size": self.buffer_size,
            "learning_starts": self.learning_starts,
            "train_freq": 1,
            "gradient_steps": self.update_to_data,
            "learning_rate": self.learning_rate,
            "gamma": self.discount,
            "tau": self.tau,
            "policy_kwargs": {"net_arch": list(self.hidden)},  # ReLU is SB3's default too
        }
        return "--copies", str(self.num_envs), *_words(names)


HOPPER_PPO, HOPPER_SAC = PPO(), SAC()
CARTPOLE_PPO = PPO(
    num_envs=4, num_epochs=4, batch_size=128, learning_rate=2.5e-4, entropy_coef=0.01
)  # PureJaxRL's recipe for CartPole
MANY_CARTPOLES = CARTPOLE_PPO._replace(num_envs=65_536, num_steps=32, batch_size=262_144)
MANY_HOPPERS = PPO(num_envs=4_096, num_steps=20, num_epochs=4, batch_size=10_240, hidden=(128, 128))


def _fields(settings: PPO | SAC) -> str:
    plus = lambda x: "+".join(map(str, x)) if isinstance(x, tuple) else str(x)
    return ":".join(f"{name}={plus(x)}" for name, x in settings._asdict().items())


def _words(names: dict[str, object]) -> tuple[str, ...]:
    return "--set", *(f"{name}={x}" for name, x in names.items())
