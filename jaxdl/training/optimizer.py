"""Optimizers by name, as optax chains whose numbers may be traced."""

from collections.abc import Callable
import inspect
from typing import Any

import jax
from jaxdl import choice
from jaxdl import layers
import optax

Scalar = float | jax.Array


def sgd(learning_rate: Scalar) -> optax.GradientTransformation:
  """Plain stochastic gradient descent."""
  return optax.sgd(learning_rate)


def momentum(
  learning_rate: Scalar, decay: Scalar = 0.9
) -> optax.GradientTransformation:
  """Heavy-ball momentum (Polyak, 1964)."""
  return optax.sgd(learning_rate, momentum=decay)


def nesterov(
  learning_rate: Scalar, decay: Scalar = 0.9
) -> optax.GradientTransformation:
  """Nesterov's accelerated gradient (Sutskever et al., 2013)."""
  return optax.sgd(learning_rate, momentum=decay, nesterov=True)


def adam(
  learning_rate: Scalar, b1: Scalar = 0.9, b2: Scalar = 0.999
) -> optax.GradientTransformation:
  """Adam (Kingma & Ba, 2015)."""
  return optax.adam(learning_rate, b1=b1, b2=b2)


def rmsprop(
  learning_rate: Scalar, decay: Scalar = 0.9
) -> optax.GradientTransformation:
  """RMSProp (Tieleman & Hinton, 2012)."""
  return optax.rmsprop(learning_rate, decay=decay)


def adagrad(learning_rate: Scalar) -> optax.GradientTransformation:
  """Adagrad (Duchi et al., 2011)."""
  return optax.adagrad(learning_rate)


_TABLE: dict[str, Callable[..., optax.GradientTransformation]] = {
  'sgd': sgd,
  'momentum': momentum,
  'nesterov': nesterov,
  'adam': adam,
  'rmsprop': rmsprop,
  'adagrad': adagrad,
}


def names() -> tuple[str, ...]:
  """Returns the names of the optimizers."""
  return tuple(_TABLE)


def get(name: str) -> Callable[..., optax.GradientTransformation]:
  """Returns the optimizer called `name`, a function of its numbers.

  Raises:
    ValueError: if there is none.
  """
  return choice.choose('optimizer', name, _TABLE)


def hyperparameters(name: str) -> dict[str, float]:
  """Returns the numbers of an optimizer beside its learning rate."""
  parameters = list(inspect.signature(get(name)).parameters.values())[1:]
  return {p.name: p.default for p in parameters}


def with_weight_decay(
  optimizer: optax.GradientTransformation, weight_decay: Scalar
) -> optax.GradientTransformation:
  """Adds `weight_decay * w` to the gradient of each parameter w.

  All but the learned slopes of PReLU, which it would push to ReLU (He et al.,
  2015, https://arxiv.org/abs/1502.01852, section 2.1).
  """
  decay = optax.add_decayed_weights(weight_decay, mask=_decays)
  return optax.chain(decay, optimizer)


def _decays(params: Any) -> Any:
  is_slope = lambda node: isinstance(node, layers.PreluParams)
  return jax.tree.map(
    lambda node: jax.tree.map(lambda _: not is_slope(node), node),
    params,
    is_leaf=is_slope,
  )
