"""How far the outputs of hidden layers are from zero mean.

What shifts the inputs of the next layer is the mean of each unit over the data
(LeCun et al., 1998, section 4.3; Clevert et al., 2015, section 2). A mean over
units as well says less: units of opposite sign cancel.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import sweep
from jaxdl import tracing
from jaxdl import training
from jaxdl.laboratory import networks
from jaxdl.tracing import statistics
import xarray as xr

Array = jax.Array

# As many as `Trainer.evaluate` passes at once, so that a mean is of all. The
# mean of as many draws is off by 1/22 of their deviation.
_NUM_EXAMPLES = 500
_OF_UNITS = statistics.Measure(
  lambda x: jnp.stack(
    [f(x).mean(range(x.ndim - 1)) for f in (lambda x: x, jnp.square)]
  ),
  lambda x: x,
)
_KINDS = ('unit_shift', 'pooled_shift')


def on_test_split_and_shifts(
  trainer: training.Trainer, state: training.TrainState, data: sweep.Data
) -> dict[str, Any]:
  """Evaluates a network, and how far its hidden layers are from zero mean.

  Args:
    trainer: of the network, a chain of units.
    state: in which it is evaluated.
    data: the shifts are over the first 500 examples of the training split.

  Returns:
    `test_loss`, `test_accuracy`, and of each hidden layer, from 1, the shifts
    that `shifts_by_layer` gathers.
  """
  inputs = data.train_images[:_NUM_EXAMPLES]
  labels = data.train_labels[:_NUM_EXAMPLES]
  scopes = [f'{s}/activation' for s in training.outputs(state.params)[:-1]]

  def loss(params: Any) -> Array:
    at = state._replace(params=params)
    return trainer.evaluate(at, inputs, labels)['test_loss']

  tap = tracing.Taps(forward=_OF_UNITS)
  probed = tracing.probe(loss, taps=lambda _: dict.fromkeys(scopes, tap))
  _, _, profile = probed(state.params)
  found = (profile[scope].forward for scope in scopes)
  moments = [
    layer for x in found for layer in x.reshape(-1, 2, x.shape[-1])
  ]  # [2, unit] of each layer.
  each: dict[str, Any] = {
    f'{kind}_{i + 1}': shift
    for i, layer in enumerate(moments)
    for kind, shift in zip(_KINDS, _shifts(*layer), strict=True)
  }
  return networks.on_test_split(trainer, state, data) | each


def _shifts(mean: Array, mean_square: Array) -> tuple[Array, Array]:
  rms = jnp.sqrt(mean_square.mean())
  return jnp.sqrt(jnp.square(mean).mean()) / rms, jnp.abs(mean.mean()) / rms


def shifts_by_layer(record: xr.Dataset, depth: int) -> xr.Dataset:
  """Gathers what `on_test_split_and_shifts` recorded.

  Args:
    record: of networks that it evaluated, over any dimensions but `layer`.
    depth: hidden layers.

  Returns:
    Over these and `layer`, from 1, relative to the root mean square of the
    outputs of the layer, from 0 to 1: `unit_shift`, the root mean square over
    units of the mean of each over the data, and `pooled_shift`, the magnitude
    of the mean over all units, never larger.
  """
  layers = range(1, depth + 1)
  gathered = {
    kind: xr.concat(
      [record[f'{kind}_{layer}'] for layer in layers], 'layer'
    ).assign_coords(layer=layers)
    for kind in _KINDS
  }
  return xr.Dataset(gathered).drop_attrs()
