"""Deep successor features: a network of them for the policy of each source; the target only estimates reward weights.

Transfers: every source policy's successor features, and the encoder of images.
Assumes: sources and target differ in the weights of rewards alone, and rewards are φ · w.
Fails when: dynamics differ, φ does not contain what a task rewards, or no source's policy is useful in the target.
Source: arXiv:1606.05312, sections 4.2 and 5.2 (SFDQN), with generalized policy improvement over all sources' policies.
Departs from it in: sources are trained side by side, each policy on the transitions of all; weights are least-squares
solutions, not gradient steps; before the target's first reward they are the sources' mean; exploration and the step
size decay over the training.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.names import select_parts
from headstart.core.types import RATES, Discrete, Learner, Method, Metrics, Phase, Replay, Spec, Transition
from headstart.learners.dqn import DQN
from headstart.learners.teachers import check_task_context, task_index
from headstart.losses.successor import gpi_action, least_squares, successor_target
from headstart.losses.weighted import weighted_mean
from headstart.nets.encoders import encode_obs, init_encoder, trained_parts
from headstart.nets.exploration import epsilon_greedy, epsilon_schedule
from headstart.nets.mlp import check_network
from headstart.nets.optimizers import clipped_adam
from headstart.nets.successors import RewardStatistics, reward_statistics, successor_networks
from headstart.nets.targets import periodic_polyak


@dataclasses.dataclass(frozen=True)
class DeepSuccessorFeatures(Method):
    """Q-learning of vectors: successor features of each source's policy, each by a network of its own."""

    learning_rate: float = 1e-3  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # learning rate falls linearly to 0 over the training
    discount: float = 0.95  # γ, in [0, 1]
    epsilon: float = 0.1  # share of random actions at the end, in [0, 1]; it is 1 at the start
    exploration_fraction: float = 0.2  # share of the training in which it falls, in (0, 1]
    ridge: float = 1e-2  # ridge that pulls the target's reward weights to the sources' mean, in steps, > 0
    tau: float = 1.0  # step of the target network towards the network at each of its updates, in (0, 1]
    target_update_period: int = 100  # gradient steps between two updates of the target network, >= 1
    max_grad_norm: float = 10.0  # global norm to which the gradient is clipped, > 0
    update_to_data: float = 0.25  # gradient steps per step of a source, in [1e-6, 1e4]
    batch_size: int = 64  # transitions of each source in a gradient step, >= 1
    buffer_size: int = 50_000  # transitions of each source in the replay buffer, >= 1
    learning_starts: int = 1_000  # steps in the sources before the first gradient step, >= 0
    num_steps: int = 4  # steps of each environment between updates, >= 1
    num_envs: int = 4  # parallel environments, >= 1
    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden layers of each policy's network
    activation: str = "relu"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm", "ridge"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        for name in ("tau", "exploration_fraction"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        for name in ("discount", "epsilon"):
            check_range(self, name, 0.0, 1.0)
        check_range(self, "learning_starts", 0, float("inf"))
        for name in ("target_update_period", "batch_size", "buffer_size", "num_steps", "num_envs"):
            check_range(self, name, 1, float("inf"))
        check_network(type(self).__name__, self.hidden, self.activation)

    def base_learner(self) -> Method:
        """Returns DQN with the same settings: this method with one task and one cumulant."""
        mine = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return DQN(**{field.name: mine[field.name] for field in dataclasses.fields(DQN) if field.name in mine})

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("DeepSuccessorFeatures", spec)
        if not isinstance(spec.action_space, Discrete):
            raise InputError(
                "Successor features need discrete actions, and this task's are continuous; use SAC or PPO."
            )
        policies, n, cumulants = max(spec.context_dim, 1), spec.action_space.n, spec.num_cumulants
        train = (*trained_parts(spec), "successors")

        def init(key, prior):
            if prior is not None:
                own = {"rewards": prior["rewards"].forget_target(), "epsilon": prior["epsilon"].for_transfer()}
                return {**prior, **own, "target": select_parts(prior, train)}
            parts, features = init_encoder(spec._replace(context_dim=0), key, normalize=False)
            layers = (features, *self.hidden)
            parts["successors"] = successor_networks(layers, policies, n, cumulants, self.activation, key)
            own = {"rewards": reward_statistics(policies + 1, cumulants), "epsilon": epsilon_schedule()}
            return {**parts, **own, "target": select_parts(parts, train)}

        def psi(params, obs):
            return params["successors"](encode_obs(params, obs), cumulants)

        def task_of(context):
            """Returns the task whose weights count: the context's source, or in the target, if it is none, its own."""
            own = target & (context.sum(-1) == 0)
            return jnp.where(own, policies, task_index(context))

        def act(params, carry, obs, context, info):
            w = reward_weights(params["rewards"], self.ridge)
            greedy, _ = gpi_action(psi(params, obs), w[task_of(context)], policies)
            return epsilon_greedy(greedy, n, info.explore * params["epsilon"].epsilon, info.key), carry, {}

        def prepare(params, rollout, info):
            weight = jax.nn.one_hot(task_of(rollout.context), policies + 1) * rollout.weight[..., None]
            phi = jnp.where(rollout.weight[..., None] > 0, rollout.cumulants, 0.0).reshape(-1, cumulants)
            reward = jnp.where(rollout.weight > 0, rollout.reward, 0.0).reshape(-1)
            rewards = params["rewards"].update(phi, reward, weight.reshape(-1, policies + 1))
            epsilon = params["epsilon"].decay(self.epsilon, self.exploration_fraction, info.progress)
            return {**params, "rewards": rewards, "epsilon": epsilon}, rollout

        def loss(params, batch, info):
            """Trains each policy's successor features on all transitions, under that policy's greedy next action."""
            w = reward_weights(params["rewards"], self.ridge)[:-1]

            def one(t: Transition) -> Metrics:
                now, ahead, lagged = psi(params, t.obs), psi(params, t.next_obs), psi(params["target"], t.next_obs)

                def of_policy(now: Array, ahead: Array, lagged: Array, w: Array) -> Array:
                    follows = lagged[jnp.argmax(ahead @ w)]
                    wanted = successor_target(t.cumulants, self.discount * t.discount, follows)
                    return jnp.square(now[t.action] - jax.lax.stop_gradient(wanted)).sum()

                return {"value_loss": jax.vmap(of_policy)(now, ahead, lagged, w).mean()}

            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            return mean["value_loss"], {**mean, "epsilon": params["epsilon"].epsilon}

        def after(params, info):
            return periodic_polyak(params, info, "target", train, self.tau, self.target_update_period)

        learner = Learner(
            init=init, act=act, prepare=prepare, phases=(), replay=Replay(num_steps=1, num_envs=1, batch_size=1)
        )
        if target:  # it learns reward weights alone, without gradients
            return learner
        optimizer = clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate)
        buffer = (self.batch_size, 1, self.buffer_size, self.update_to_data, self.learning_starts)
        return learner._replace(
            phases=(Phase(loss, train, optimizer, after=after),),
            replay=Replay(self.num_steps, self.num_envs, *buffer),
        )


def reward_weights(rewards: RewardStatistics, ridge: float) -> Float[Array, "task cumulant"]:
    """Returns the weights w of φ in each task's reward, by least squares. No gradient flows through them."""
    gram, reward_features = rewards.gram, rewards.reward_features
    fit = functools.partial(least_squares, ridge=ridge)
    zeros = jnp.zeros(reward_features.shape[1])
    sources = jax.vmap(fit, in_axes=(0, 0, None))(gram[:-1], reward_features[:-1], zeros)
    target = fit(gram[-1], reward_features[-1], sources.mean(0))
    return jax.lax.stop_gradient(jnp.concatenate([sources, target[None]]))
