"""Deep Q-learning (Mnih et al. 2015): double (arXiv:1509.06461) and, as an option, dueling (arXiv:1511.06581).

Parts: `encoder` (images) and `value`, the Q-network, which the loss trains; `target`, the lagged copy of both; and
`epsilon`, the schedule of random actions. The policy is greedy.
"""

import dataclasses

import jax
import jax.numpy as jnp

from headstart.core.errors import InputError, check_range
from headstart.core.names import select_parts
from headstart.core.types import RATES, Discrete, Learner, Method, Metrics, Phase, Replay, Spec, Transition
from headstart.losses.q_learning import double_q_target, huber, n_step
from headstart.losses.weighted import weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.encoders import encode, init_encoder, trained_parts
from headstart.nets.exploration import epsilon_greedy, epsilon_schedule
from headstart.nets.mlp import check_network
from headstart.nets.optimizers import clipped_adam
from headstart.nets.returns import q_normalizer
from headstart.nets.targets import periodic_polyak
from headstart.nets.values import q_network


@dataclasses.dataclass(frozen=True)
class DQN(Method):
    """Deep Q-learning for discrete actions, with a target network and a replay buffer."""

    learning_rate: float = 1e-3  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # learning rate falls linearly to 0 over the training
    discount: float = 0.99  # γ, in [0, 1]
    epsilon: float = 0.05  # share of random actions at the end, in [0, 1]; it is 1 at the start
    exploration_fraction: float = 0.2  # share of the training in which it falls, in (0, 1]
    tau: float = 1.0  # step of the target network towards the network at each of its updates, in (0, 1]
    target_update_period: int = 100  # gradient steps between two updates of the target network, >= 1
    n_step: int = 1  # rewards summed before the target network's value, >= 1
    huber_delta: float | None = None  # TD error from which on the loss is linear, > 0; None: always squared
    dueling: bool = False  # whether the network has outputs for the state's value and the actions' advantages
    max_grad_norm: float = 10.0  # global norm to which the gradient is clipped, > 0
    update_to_data: float = 0.5  # gradient steps per environment step, in [1e-6, 1e4]
    batch_size: int = 128  # transitions per gradient step, >= 1
    buffer_size: int = 100_000  # transitions in the replay buffer, >= 1
    learning_starts: int = 1_000  # steps before the first gradient step in the source, >= 0
    num_steps: int = 4  # steps of each environment between updates, >= 1
    num_envs: int = 1  # parallel environments, >= 1
    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden layers
    activation: str = "relu"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm", "huber_delta"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        for name in ("exploration_fraction", "tau"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        for name in ("discount", "epsilon"):
            check_range(self, name, 0.0, 1.0)
        check_range(self, "learning_starts", 0, float("inf"))
        for name in ("target_update_period", "n_step", "batch_size", "buffer_size", "num_steps", "num_envs"):
            check_range(self, name, 1, float("inf"))
        check_network(type(self).__name__, self.hidden, self.activation)

    def build(self, spec: Spec, target: bool) -> Learner:
        if not isinstance(spec.action_space, Discrete):
            raise InputError("DQN needs discrete actions, and this task's are continuous; use SAC or PPO.")
        n = spec.action_space.n
        train = (*trained_parts(spec), "value")

        def init(key, prior):
            if prior is not None:
                epsilon = prior["epsilon"].for_transfer()
                return {**prior, "target": select_parts(prior, train), "epsilon": epsilon}
            parts, features = init_encoder(spec, key, normalize=False)
            parts["value"] = q_network(features, self.hidden, n, self.activation, self.dueling, key)
            return {**parts, "target": select_parts(parts, train), "epsilon": epsilon_schedule()}

        def q_values(params, obs, context, network=None):
            known = params if network is None else params[network]
            return q_normalizer(params).value(known["value"](encode(known, obs, context)), context)

        def act(params, carry, obs, context, info):
            greedy = jnp.argmax(q_values(params, obs, context))
            return epsilon_greedy(greedy, n, info.explore * params["epsilon"].epsilon, info.key), carry, {}

        def td_target(params, t: Transition):
            """Returns the n-step rewards plus the discounted value that follows, in the reward's units."""
            q_next, q_next_lagged = (q_values(params, t.next_obs, t.next_context, at) for at in (None, "target"))
            return double_q_target(t.reward, t.extras["discount"], q_next, q_next_lagged)

        def one_step(t: Transition) -> Transition:
            return t.replace(extras={**t.extras, "discount": self.discount * t.discount})

        def prepare(params, rollout, info):
            epsilon = params["epsilon"].decay(self.epsilon, self.exploration_fraction, info.progress)
            params = {**params, "epsilon": epsilon}
            if "returns" in params:
                targets = jax.vmap(jax.vmap(jax.vmap(lambda t: td_target(params, t))))(one_step(rollout))
                params["returns"] = params["returns"].update(targets, rollout.context, rollout.weight)
            return params, rollout

        def sample(params, draw, info):
            """Sums each transition's next n rewards, as far as its episode goes."""
            first = one_step(draw.batch())
            if self.n_step == 1:
                return first
            ahead = one_step(draw.take(draw.later(draw.rows[..., None], jnp.arange(self.n_step))))
            steps = draw.steps_left(draw.rows)[0] + 1
            reward, discount, final = jax.vmap(jax.vmap(n_step))(ahead.reward, ahead.extras["discount"], steps)
            then = draw.take(draw.later(draw.rows, final))
            extras = {**first.extras, "discount": discount, "next_context": then.next_context}
            return first.replace(reward=reward, next_obs=then.next_obs, extras=extras)

        def loss(params, batch, info):
            normalizer = q_normalizer(params)

            def one(t: Transition) -> Metrics:
                outputs = params["value"](encode(params, t.obs, t.context))
                wanted = jax.lax.stop_gradient(normalizer.normalize(td_target(params, t), t.context))
                error = normalizer.select(outputs, t.context)[t.action] - wanted
                return {
                    "value_loss": huber(error, self.huber_delta),
                    "q": normalizer.value(outputs, t.context)[t.action],
                }

            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            return mean["value_loss"], {**mean, "epsilon": params["epsilon"].epsilon}

        def after(params, info):
            return periodic_polyak(params, info, "target", train, self.tau, self.target_update_period)

        optimizer = clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate)
        replay = Replay(
            self.num_steps,
            self.num_envs,
            self.batch_size,
            buffer_size=self.buffer_size,
            update_to_data=self.update_to_data,
            learning_starts=1 if target else self.learning_starts,  # in the target, it learns from the first episode on
            n_step=self.n_step,
        )
        return Learner(
            init=init,
            act=act,
            prepare=prepare,
            phases=(Phase(loss, train, optimizer, sample, after=after),),
            replay=replay,
            policy_contract=feedforward_contract,
        )
