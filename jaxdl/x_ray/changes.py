"""Single changes to how a model starts and is trained, to be tried one by one.

References:
  Glorot, Bengio, [Understanding the difficulty of training deep feedforward
  neural networks](https://proceedings.mlr.press/v9/glorot10a.html), 2010.
  Pascanu, Mikolov, Bengio, [On the difficulty of training recurrent neural
  networks](https://arxiv.org/abs/1211.5063), 2013 (clipping).
  He et al., [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852),
  2015.
  Micikevicius et al., [Mixed precision
  training](https://arxiv.org/abs/1710.03740), 2018 (loss scale).
"""

from collections.abc import Callable, Iterator, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.tracing import statistics
from jaxdl.x_ray import kernels as kernels_lib
import numpy as np
import optax


class Setting(NamedTuple):
  """What enters a compiled program as numbers.

  Attributes:
    learning_rate: factor of the optimizer's updates.
    clip: the largest Euclidean norm of the whole gradient.
    loss_scale: factor of the loss, by which the gradient is divided again.
    shift: subtracted from each array of the batch.
    scale: factor of each array of the batch, after the shift.
  """

  learning_rate: float
  clip: float
  loss_scale: float
  shift: tuple[float, ...]
  scale: tuple[float, ...]


class Change(NamedTuple):
  """One change.

  Attributes:
    name: what is changed, in words.
    setting: the numbers that the program is run with.
    initial: maps the model's parameters to those that are begun with.
    optimizer: instead of the user's; None keeps it.
  """

  name: str
  setting: Setting
  initial: Callable[[Sequence[jax.Array]], Sequence[jax.Array]] = tuple
  optimizer: optax.GradientTransformation | None = None


class Situation(NamedTuple):
  """What decides which changes there are to try.

  Attributes:
    params: the model's parameters.
    kernels: which of them are kernels; the inputs fed to them, counted from the
      first array of the batch.
    batch: the arrays of all batches, stacked, `[batches, ...]`.
    optimizer: the user's.
    is_half: whether numbers of 16 bits occur in the model.
    activations: those that occur in it.
  """

  params: Sequence[jax.Array]
  kernels: kernels_lib.Kernels
  batch: Sequence[jax.Array]
  optimizer: optax.GradientTransformation
  is_half: bool
  activations: frozenset[str]


NO_CHANGE = 'no change'
_SCALES: dict[str, Callable[[kernels_lib.Fans], float]] = {
  'He': lambda fans: math.sqrt(2 / fans.fan_in),
  'LeCun': lambda fans: math.sqrt(1 / fans.fan_in),
  'Glorot': lambda fans: math.sqrt(2 / (fans.fan_in + fans.fan_out)),
  'an orthogonal matrix': lambda fans: 1 / math.sqrt(max(fans)),
}
# Of its own activation, whose slope is a quarter at most.
_OF_ACTIVATIONS: dict[str, dict[str, Callable[[kernels_lib.Fans], float]]] = {
  'sigmoid': {'LeCun, times 4': lambda fans: 4 / math.sqrt(fans.fan_in)}
}
_LEARNING_RATES = (0.1, 0.3, 3.0)
_CLIP = 1.0
_LOSS_SCALES = (2.0**10, 2.0**15)  # At most: float16 ends at 65,504.
_ADAM = 1e-3  # The rate that Kingma & Ba, 2015, propose.
_SAME = 0.05  # Kernels this close to a scale, relatively, are of that scale.
_ORDER_ONE = (0.1, 10.0)  # Root mean squares of an input in order.
_MOST_MEANS = 3.0  # Means of such an input, in standard deviations.


def of(situation: Situation) -> Iterator[Change]:
  """Yields the changes to try; the first one changes nothing.

  Args:
    situation: what there is to change.
  """
  num_arrays = len(situation.batch)
  plain = Setting(
    1.0, math.inf, 1.0, shift=(0.0,) * num_arrays, scale=(1.0,) * num_arrays
  )
  yield Change(NO_CHANGE, plain)
  yield from _initial(situation, plain)
  for factor in _LEARNING_RATES:
    setting = plain._replace(learning_rate=factor)
    yield Change(f'learning rate times {factor:g}', setting)
  setting = plain._replace(clip=_CLIP)
  yield Change(f"clip the gradient's norm at {_CLIP:g}", setting)
  if situation.is_half:
    for scale in _LOSS_SCALES:
      setting = plain._replace(loss_scale=scale)
      yield Change(f'loss scale {scale:g}', setting)
  if not _is_adam(situation.optimizer, situation.params):
    yield Change(f'Adam at {_ADAM:g}', plain, optimizer=optax.adam(_ADAM))
  yield from _standardized(situation, plain)


def optimizer(
  inner: optax.GradientTransformation, setting: Setting
) -> optax.GradientTransformation:
  """Makes an optimizer work as a setting says.

  It computes in float32 at least, so that a gradient that was scaled to survive
  in 16 bits is not lost when it is divided again.

  Args:
    inner: the user's.
    setting: numbers, which may be traced.
  """

  def init(params):
    return inner.init(_widened(params))

  def update(gradients, state, params=None):
    gradients = [g / setting.loss_scale for g in _widened(gradients)]
    norm = statistics.norm(jnp.stack(list(map(statistics.norm, gradients))))
    kept = jnp.minimum(1, setting.clip / jnp.maximum(norm, 1e-37))
    gradients = [(g * kept).astype(g.dtype) for g in gradients]
    updates, state = inner.update(
      tuple(gradients), state, None if params is None else _widened(params)
    )
    return [(u * setting.learning_rate).astype(u.dtype) for u in updates], state

  return optax.GradientTransformation(init, update)


def _widened(arrays: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
  return tuple(
    x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in arrays
  )


def _initial(situation: Situation, plain: Setting) -> Iterator[Change]:
  """Yields other scales of the kernels, and kernels drawn anew."""
  fans = situation.kernels.fans
  sizes = {
    i: float(statistics.norm(situation.params[i]))
    / math.sqrt(situation.params[i].size)
    for i in fans
  }
  usable = [i for i in fans if 0 < sizes[i] < math.inf]
  scales = dict(_SCALES)
  for activation in sorted(situation.activations):
    scales.update(_OF_ACTIVATIONS.get(activation, {}))
  for name, scale in scales.items():
    factors = {i: scale(fans[i]) / sizes[i] for i in usable}
    if any(abs(factor - 1) > _SAME for factor in factors.values()):
      yield Change(f'kernels scaled as {name}', plain, _rescaled(factors))
  if fans:
    yield Change('kernels drawn anew as He', plain, _drawn(fans))


def _rescaled(
  factors: dict[int, float],
) -> Callable[[Sequence[jax.Array]], Sequence[jax.Array]]:
  def initial(params):
    return tuple(
      (x * factors[i]).astype(x.dtype) if i in factors else x
      for i, x in enumerate(params)
    )

  return initial


def _drawn(
  fans: dict[int, kernels_lib.Fans],
) -> Callable[[Sequence[jax.Array]], Sequence[jax.Array]]:
  """Gaussian kernels; the seed is ours, since the model's is not known."""

  def initial(params):
    rng = np.random.default_rng(0)
    drawn = {
      i: math.sqrt(2 / fans[i].fan_in) * rng.standard_normal(params[i].shape)
      for i in sorted(fans)
    }
    return tuple(
      jnp.asarray(drawn[i], x.dtype) if i in drawn else x
      for i, x in enumerate(params)
    )

  return initial


def _is_adam(
  optimizer: optax.GradientTransformation, params: Sequence[jax.Array]
) -> bool:
  """Whether an optimizer divides by a running mean of squares, as Adam does."""
  is_adam = lambda state: isinstance(state, optax.ScaleByAdamState)
  state = jax.eval_shape(optimizer.init, tuple(params))
  return any(map(is_adam, jax.tree.leaves(state, is_leaf=is_adam)))


def _standardized(situation: Situation, plain: Setting) -> Iterator[Change]:
  """Yields mean 0 and standard deviation 1 for inputs far from that."""
  shift, scale = list(plain.shift), list(plain.scale)
  words = []
  for i in sorted(situation.kernels.fed):
    found = _far_from_order_one(situation.batch[i])
    if found is not None:
      shift[i], scale[i] = found[0], 1 / found[1]
      words.append(f'mean {found[0]:.3g}, deviation {found[1]:.3g}')
  if words:
    setting = plain._replace(shift=tuple(shift), scale=tuple(scale))
    yield Change(f'standardize the input ({"; ".join(words)})', setting)


def _far_from_order_one(x: Any) -> tuple[float, float] | None:
  """The mean and the deviation of an input that is not of order one."""
  if not jnp.issubdtype(x.dtype, jnp.floating):
    return None
  values = np.asarray(x, np.float64)
  mean, deviation = float(np.mean(values)), float(np.std(values))
  if not (0 < deviation < math.inf):
    return None
  low, high = _ORDER_ONE
  if low <= math.hypot(mean, deviation) <= high:
    if abs(mean) <= _MOST_MEANS * deviation:
      return None
  return mean, deviation
