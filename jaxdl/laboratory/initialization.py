"""Random networks before any training: signals, gradients, correlations.

A multilayer perceptron is drawn many times, with weights of variance
weight_std^2 / fan_in and biases of variance bias_std^2, and `jaxdl.probe`
measures what mean field theory speaks of: the variance of each pre-activation,
the squared gradient there, and how correlations of inputs move. See Poole et
al., 2016, https://arxiv.org/abs/1606.05340; Schoenholz et al., 2017,
https://arxiv.org/abs/1611.01232.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import sweep
from jaxdl import tracing
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.models import zoo
from jaxdl.tracing import statistics
import numpy as np
import xarray as xr

Array = np.ndarray

_FIRST, _OTHERS = 'stem/dense', 'hidden/layer/dense'
_COPIES = 8  # Of its parameters, as memory that measuring a network takes.
_MEMORY_SHARE = 0.5


class _Measured(NamedTuple):
  """Of all layers."""

  rms: Any  # [..., layer], of the pre-activations
  gap: Any  # [..., layer, inputs - 1]
  cotangent_rms: Any  # [..., layer]


def measure(
  activation: str,
  weight_std: Sequence[float],
  bias_std: Sequence[float],
  inputs: Array,
  *,
  width: int,
  depth: int,
  num_seeds: int,
  seed: int = 0,
) -> xr.Dataset:
  """Measures random networks, layer by layer.

  The configurations share the draws of a seed, scaled, since most of the time
  goes into drawing: seeds are independent, configurations are not. One program
  is compiled, which takes one seed after the other on a CPU, and on an
  accelerator as many at a time as half of its memory holds.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`.
    weight_std: of each configuration; weights have the variance
      weight_std^2 / fan_in.
    bias_std: of each configuration.
    inputs: `[configuration, input, feature]`, at least two inputs.
    width: units of each layer.
    depth: layers before the readout, at least 2.
    num_seeds: networks of each configuration.
    seed: of all draws.

  Returns:
    Over `configuration`, `seed` and `layer` (1 to depth), in float64:
    `variance`, the mean square of the pre-activations h over inputs and units;
    `squared_gradient`, that of dz/dh, where z is one random readout, summed
    over the inputs; and, over `input` (from 1 on) too, `gap`: 1 - the
    correlation of its pre-activations with those of input 0, their cosine.

  Raises:
    ValueError: if the activation or a size is refused, lists differ in length,
      a network does not fit the memory, or what is measured leaves the range of
      float32.
  """
  inputs = np.asarray(inputs, np.float32)
  _check(weight_std, bias_std, inputs, width, depth)
  base.require_positive('num_seeds', num_seeds)
  stds = np.array([weight_std, bias_std], np.float32).T
  network = zoo.build(
    'mlp',
    in_shape=inputs.shape[2:],
    num_classes=1,
    activation=activation,
    depth=depth,
    width=width,
    weight_init=initializers.normal_fan_in(1.0),
    bias_init=initializers.normal(1.0),
  )

  def measured(key):
    _, params, state = network.init(key, inputs.shape[2:])
    one = lambda each: _measure_one(network, params, state, *each)
    return lax.map(one, (jnp.asarray(stds), jnp.asarray(inputs)))

  batch_size = _batch_size(num_seeds, 4 * depth * width**2)
  run = jax.jit(lambda keys: lax.map(measured, keys, batch_size=batch_size))
  keys = jax.random.split(jax.random.key(seed), num_seeds)
  found = _Measured(*(np.asarray(x, np.float64) for x in run(keys)))
  _check_range(activation, stds, found)
  return _dataset(activation, weight_std, bias_std, found)


def _measure_one(
  network: base.Layer,
  params: Any,
  state: Any,
  stds: jax.Array,
  x: jax.Array,
) -> _Measured:
  """Measures a network whose params, of unit deviations, are scaled first."""
  weight_std, bias_std = stds
  is_dense = lambda node: isinstance(node, linear.DenseParams)
  scaled = lambda node: (  # What prelu learns is left as it is.
    linear.DenseParams(weight_std * node.w, bias_std * node.b)
    if is_dense(node)
    else node
  )
  params = jax.tree.map(scaled, params, is_leaf=is_dense)
  # By the inputs: the gradients by the weights aren't asked for.
  loss = lambda x: jnp.sum(network.apply(params, state, x)[0])
  _, _, profile = tracing.probe(loss, taps=_taps)(x)
  first, others = map(_of_signal, (profile[_FIRST], profile[_OTHERS]))
  return jax.tree.map(
    lambda one, rest: jnp.concatenate([one[None], rest]), first, others
  )


def _of_signal(signal: tracing.Signal) -> _Measured:
  forward, gap = signal.forward
  return _Measured(forward.rms, gap, signal.backward.rms)


def _taps(sites: Sequence[tracing.Site]) -> dict[str, tracing.Taps]:
  """The probe's own statistics of pre-activations, and the gaps beside them."""
  del sites
  default = statistics.forward()
  forward = statistics.Measure(
    lambda x: (default.reduce(x), _gaps(x)),
    lambda parts: (default.finish(parts[0]), parts[1]),
  )
  both = tracing.Taps(forward, statistics.backward())
  return {_FIRST: both, _OTHERS: both}


def _gaps(x: jax.Array) -> jax.Array:
  """1 - the cosine of the first row and each other, right however small."""
  unit = x / statistics.norm(x, axis=-1)[:, None]
  return 0.5 * jnp.sum(jnp.square(unit[1:] - unit[0]), axis=-1)


def _batch_size(num_seeds: int, parameter_bytes: int) -> int:
  """Returns how many seeds go through the program at a time.

  Raises:
    ValueError: if not even one fits the memory.
  """
  device = jax.devices()[0]
  available = sweep.available_memory(device)
  need = _COPIES * parameter_bytes
  if need > available:
    raise ValueError(
      f'A network of {parameter_bytes / 2**30:.3g} GiB takes about '
      f'{need / 2**30:.3g} GiB while it is measured, and {device.platform} has '
      f'{available / 2**30:.3g} GiB left; choose less width or depth.'
    )
  if device.platform == 'cpu':
    return 1
  return int(np.clip(_MEMORY_SHARE * available // need, 1, num_seeds))


def _check(
  weight_std: Sequence[float],
  bias_std: Sequence[float],
  inputs: Array,
  width: int,
  depth: int,
) -> None:
  base.require_positive('width', width)
  if depth < 2:
    raise ValueError(
      f'depth must be at least 2, got {depth}: two layers tell what one does.'
    )
  if inputs.ndim != 3 or inputs.shape[1] < 2:
    raise ValueError(
      'inputs are [configuration, input, feature], with two inputs at least; '
      f'got the shape {inputs.shape}.'
    )
  if not len(weight_std) == len(bias_std) == len(inputs):
    raise ValueError(
      f'There are {len(weight_std)} weight_std, {len(bias_std)} bias_std and '
      f'{len(inputs)} sets of inputs; give one of each for a configuration.'
    )


def _check_range(activation: str, stds: Array, found: _Measured) -> None:
  """Refuses what overflowed, underflowed to 0, or has no direction."""
  sizes = np.stack([found.rms, found.cotangent_rms])
  good = np.all(np.isfinite(sizes) & (sizes > 0), axis=(0, 1, 3))
  good &= np.all(np.isfinite(found.gap), axis=(0, 2, 3))
  if not good.all():
    weight_std, bias_std = stds[np.argmin(good)]
    raise ValueError(
      f'In networks of {activation}, weight_std = {weight_std:g} and bias_std ='
      f' {bias_std:g}, signals or gradients leave the range of float32; choose '
      'less depth.'
    )


def _dataset(
  activation: str,
  weight_std: Sequence[float],
  bias_std: Sequence[float],
  found: _Measured,
) -> xr.Dataset:
  dims = ('seed', 'configuration', 'layer')
  num_seeds, configurations, depth = found.rms.shape
  gap = xr.DataArray(found.gap, dims=(*dims, 'input'))
  measured = xr.Dataset(
    {
      'variance': (dims, found.rms**2),
      'squared_gradient': (dims, found.cotangent_rms**2),
      'gap': gap,
    },
    coords={
      'activation': ('configuration', [activation] * configurations),
      'weight_std': ('configuration', np.asarray(weight_std, float)),
      'bias_std': ('configuration', np.asarray(bias_std, float)),
      'seed': np.arange(num_seeds),
      'layer': np.arange(1, depth + 1),
      'input': np.arange(1, gap.sizes['input'] + 1),
    },
  )
  return measured.transpose('configuration', 'seed', 'layer', 'input')
