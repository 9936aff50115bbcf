"""Units that are inactive on every example, followed through training.

A unit is inactive where no example makes its activation positive. Of ReLU that
is a dead unit: its weights get no gradient. Of a leaky ReLU it is one that is
on its lesser slope for every example.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import sweep
from jaxdl import tracing
from jaxdl import training
from jaxdl.laboratory import axes
from jaxdl.laboratory import networks
from jaxdl.tracing import statistics
import numpy as np

Array = jax.Array

_POSITIVE_ON_ANY = statistics.Measure(
  lambda x: jnp.any(x > 0, axis=tuple(range(x.ndim - 1))).astype(float),
  lambda x: x,
)


class Watched(NamedTuple):
  """A state of training, and what became of each unit so far."""

  inner: training.TrainState
  ever: Array  # [layer, unit], whether it was inactive at any step.
  returned: Array  # [layer, unit], whether it was, and was active later.


def watching(
  build: Callable[[axes.Static], sweep.Experiment],
  inputs: np.ndarray,
  num_classes: int,
  make_model: Callable[..., layers.Layer] | None = None,
) -> Callable[[axes.Static], sweep.Experiment]:
  """Follows the hidden units of a network on the same inputs at every step.

  Args:
    build: what `networks.builder` returned.
    inputs: such as the whole training split; each step passes them all through
      the network.
    num_classes: as `networks.builder` took it.
    make_model: as `networks.builder` took it; its layers of one width.

  Returns:
    As `build`, with three more metrics of each step and hidden layer, shares of
    its units before the update: `inactive` on all inputs; `ever_inactive`, so
    at this or an earlier step; `returned`, of all units those that have been
    inactive on all inputs and active again.
  """
  make_model = make_model or networks.model

  def build_watched(static):
    experiment = build(static)

    def now(state, dynamic):
      model = make_model(static, dynamic, num_classes)
      return inactive_units(model, state, jnp.asarray(inputs))

    def init(dynamic, key):
      state = experiment.init(dynamic, key)
      shape = jax.eval_shape(now, state, dynamic).shape
      return Watched(state, jnp.zeros(shape, bool), jnp.zeros(shape, bool))

    def step(watched, batch, dynamic, key):
      inactive = now(watched.inner, dynamic)
      returned = watched.returned | (watched.ever & ~inactive)
      ever = watched.ever | inactive
      state, metrics = experiment.step(watched.inner, batch, dynamic, key)
      metrics |= {
        'inactive': jnp.mean(inactive, -1),
        'ever_inactive': jnp.mean(ever, -1),
        'returned': jnp.mean(returned, -1),
      }
      return Watched(state, ever, returned), metrics

    def finish(watched, dynamic, data):
      return experiment.finish(watched.inner, dynamic, data)

    return sweep.Experiment(init, step, finish)

  return build_watched


def inactive_units(
  model: layers.Layer, state: training.TrainState, inputs: Array
) -> Array:
  """Returns which units no input activates, bool `[hidden layer, unit]`.

  Args:
    model: a chain of units, as the models are, whose layers have one width.
    state: of its training.
    inputs: `[batch, ...]`.
  """
  scopes = [f'{s}/activation' for s in training.outputs(state.params)[:-1]]

  def total(params: Any) -> Array:
    return jnp.sum(model.apply(params, state.model_state, inputs)[0])

  tap = tracing.Taps(forward=_POSITIVE_ON_ANY)
  probed = tracing.probe(total, taps=lambda _: dict.fromkeys(scopes, tap))
  _, _, profile = probed(state.params)
  found = [jnp.atleast_2d(profile[scope].forward) for scope in scopes]
  return jnp.concatenate(found) == 0
