"""The curvature of a loss, and the noise in its gradients.

Both are of any loss function of a pytree of parameters. Products with the
Hessian are those of Pearlmutter, 1994,
https://doi.org/10.1162/neco.1994.6.1.147: a derivative in forward mode of the
gradient, at the price of two gradients and without the matrix.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.krylov import lanczos
from jaxdl.krylov import spectrum
from jaxdl.krylov import vectors
from jaxdl.tracing import statistics

Array = jax.Array

# By which the eigenvalues are put in order, the first first.
_RANKS: dict[str, Callable[[Array], Array]] = {
  'magnitude': lambda values: -jnp.abs(values),
  'largest': lambda values: -values,
  'smallest': lambda values: values,
}


class Eigenvalues(NamedTuple):
  """Eigenvalues of a Hessian.

  Attributes:
    values: in the order asked for, `[num]`.
    error: of each: a true eigenvalue lies no farther from it, but for the
      rounding in the loss function itself, `[num]`.
    vectors: of unit length, as pytrees of parameters; their leaves have a
      leading axis `[num]`.
  """

  values: Array
  error: Array
  vectors: Any


class NoiseScale(NamedTuple):
  """How much the gradients of single examples differ; each of shape `[]`.

  Attributes:
    scale: `trace / squared_norm`: the batch size at which noise and gradient
      are of one size. Infinite where the squared norm is estimated as zero or
      less: the batch is too small to tell the gradient from the noise.
    trace: of the covariance of the gradients of single examples, without bias.
    squared_norm: of the expected gradient, without bias.
  """

  scale: Array
  trace: Array
  squared_norm: Array


def hessian_eigenvalues(
  loss_fn: Callable[..., Array],
  params: Any,
  *batch: Any,
  num: int,
  key: Array,
  which: str = 'magnitude',
  steps: int | None = None,
) -> Eigenvalues:
  """Eigenvalues of the Hessian of a loss, by the Lanczos iteration.

  An eigenvalue that is repeated is seen once, and its copies as late as
  rounding brings them in, unless there are as many steps as parameters: then
  all are found.

  Args:
    loss_fn: maps (params, *batch) to a scalar.
    params: pytree of real floating-point arrays.
    *batch: further arguments of the loss.
    num: how many.
    key: of the vector that the iteration starts from.
    which: 'magnitude' for the largest magnitudes, 'largest' or 'smallest' for
      an end of the spectrum with its sign.
    steps: of the iteration, each with one product; 2 num + 30 by default. More
      make the error smaller, and each needs the memory of the parameters.

  Raises:
    ValueError: if params aren't real, the loss is no scalar, or `num`, `steps`
      or `which` is none that there is.
  """
  rank = choice.choose('end of the spectrum', which, _RANKS)
  space, product = _hessian(loss_fn, params, batch)
  if not 1 <= num <= space.size:
    raise ValueError(
      f'num must be between 1 and {space.size}, the number of parameters; got '
      f'{num}.'
    )
  steps = min(space.size, 2 * num + 30) if steps is None else steps
  if not num <= steps <= space.size:
    raise ValueError(
      f'steps must be between num={num} and {space.size}, the number of '
      f'parameters; got {steps}.'
    )
  start_key, restart_key = jax.random.split(key)
  start = jax.random.normal(start_key, (space.size,), space.dtype)
  form = lanczos.tridiagonalize(product, start, steps, restart_key)
  found = lanczos.eigenvalues(
    product, form, lambda values: jnp.argsort(rank(values))[:num]
  )
  as_params = jax.vmap(lambda vector: vectors.unflatten(space, vector))
  return Eigenvalues(found.values, found.error, as_params(found.vectors))


def hessian_spectrum(
  loss_fn: Callable[..., Array],
  params: Any,
  *batch: Any,
  key: Array,
  num_probes: int = 8,
  steps: int = 64,
) -> spectrum.Spectrum:
  """Estimates how all eigenvalues of the Hessian of a loss are distributed.

  By stochastic Lanczos quadrature, as Ghorbani et al., 2019,
  https://arxiv.org/abs/1901.10159.

  Args:
    loss_fn: maps (params, *batch) to a scalar.
    params: pytree of real floating-point arrays.
    *batch: further arguments of the loss.
    key: of the probes.
    num_probes: how many, at least 2.
    steps: of the Lanczos iteration, for each probe.

  Raises:
    ValueError: if params aren't real, the loss is no scalar, or there are too
      few probes.
  """
  space, product = _hessian(loss_fn, params, batch)
  return spectrum.estimate(
    product,
    space.size,
    key,
    num_probes=num_probes,
    steps=steps,
    dtype=space.dtype,
  )


def gradient_noise_scale(
  loss_fn: Callable[..., Array],
  params: Any,
  *batch: Any,
  memory_limit: int = 2**28,
) -> NoiseScale:
  """The gradient noise scale, from the gradient of each example of a batch.

  The unbiased estimates of McCandlish et al., 2018, appendix A,
  https://arxiv.org/abs/1812.06162, with batches of one and of all examples:
  with g_i the gradient of an example and g the mean of all B,

    trace = sum_i |g_i - g|^2 / (B - 1)
    squared_norm = |g|^2 - trace / B

  Args:
    loss_fn: maps (params, *batch) to a scalar, and is called with batches of
      one. The loss of a batch has to be the mean of theirs, so normalization
      over the batch has no meaning here.
    params: pytree of real floating-point arrays.
    *batch: pytrees of arrays with a leading axis of examples, at least 2.
    memory_limit: bytes that the gradients of single examples may take at once;
      examples are taken in chunks, of one at least.

  Raises:
    ValueError: if params aren't real, the loss is no scalar, or the arguments
      are no batch.
  """
  batch = jax.tree.map(jnp.asarray, batch)
  count = _num_examples(batch)
  one = jax.tree.map(lambda array: array[:1], batch)
  space = _space(loss_fn, params, one)
  most = memory_limit // (space.size * space.dtype.itemsize)
  chunk = max(1, min(count, most))
  num_chunks = -(-count // chunk)

  def gradients(indices):
    """Of the examples, `[chunk, size]`."""
    examples = jax.tree.map(lambda array: array[indices][:, None], batch)
    grad_of = lambda example: vectors.flatten(
      space, jax.grad(loss_fn)(params, *example)
    )
    return jax.vmap(grad_of)(examples)

  def add(moments, first):
    indices = first + jnp.arange(chunk)
    is_new = indices < count
    rows = gradients(jnp.minimum(indices, count - 1))
    return _merge(moments, rows, is_new), None

  zero = jnp.zeros((), space.dtype)
  start = _Moments(zero, jnp.zeros(space.size, space.dtype), zero, zero)
  moments, _ = lax.scan(add, start, chunk * jnp.arange(num_chunks))
  trace = moments.squares / (count - 1)
  squared_norm = jnp.sum(jnp.square(moments.mean)) - trace / count
  ratio = trace / jnp.where(squared_norm == 0, 1, squared_norm)
  scale = jnp.where(squared_norm <= 0, jnp.inf, ratio)
  unit = jnp.square(moments.inverse)
  return NoiseScale(scale, trace / unit, squared_norm / unit)


class _Moments(NamedTuple):
  """Of gradients in units in which their squares are in range.

  Attributes:
    num: of gradients.
    mean: of them, `[size]`.
    squares: the sum of the squared distances from the mean.
    inverse: of the unit, a power of two; 0 before it is known.
  """

  num: Array
  mean: Array
  squares: Array
  inverse: Array


def _merge(moments: _Moments, rows: Array, is_new: Array) -> _Moments:
  """Adds gradients: Chan et al., 1983, https://doi.org/10.2307/2683386.

  Args:
    moments: of the gradients before.
    rows: `[chunk, size]`.
    is_new: whether a row counts, `[chunk]`; the first does.
  """
  magnitude = jnp.max(jnp.abs(rows))
  inverse = jnp.where(
    moments.inverse == 0,
    statistics.power_of_two_below_inverse(magnitude),
    moments.inverse,
  )
  rows = rows * inverse
  added = jnp.sum(is_new).astype(rows.dtype)
  count = moments.num + added
  mean = jnp.sum(jnp.where(is_new[:, None], rows, 0), axis=0) / added
  apart = jnp.where(is_new[:, None], rows - mean, 0)
  shift = mean - moments.mean
  return _Moments(
    count,
    moments.mean + shift * added / count,
    moments.squares
    + jnp.sum(jnp.square(apart))
    + jnp.sum(jnp.square(shift)) * moments.num * added / count,
    inverse,
  )


def _num_examples(batch: tuple[Any, ...]) -> int:
  lengths = {jnp.shape(array)[:1] for array in jax.tree.leaves(batch)}
  if len(lengths) != 1 or not all(lengths) or min(lengths) < (2,):
    raise ValueError(
      'The arguments after params must be arrays with one leading axis of at '
      f'least 2 examples; their leading axes are {sorted(lengths)}.'
    )
  ((count,),) = lengths
  return count


def _space(
  loss_fn: Callable[..., Array], params: Any, batch: tuple[Any, ...]
) -> vectors.Space:
  space = vectors.space('params', params)
  shapes = jax.tree.leaves(jax.eval_shape(loss_fn, params, *batch))
  if [loss.shape for loss in shapes] != [()]:
    raise ValueError(
      'loss_fn must return one scalar; it returns arrays of the shapes '
      f'{[loss.shape for loss in shapes]}.'
    )
  return space


def _hessian(
  loss_fn: Callable[..., Array], params: Any, batch: tuple[Any, ...]
) -> tuple[vectors.Space, lanczos.Product]:
  """The space of the parameters, and the product with the Hessian."""
  params = jax.tree.map(jnp.asarray, params)
  space = _space(loss_fn, params, batch)
  gradient = jax.grad(lambda params: loss_fn(params, *batch))

  def product(vector):
    tangent = vectors.unflatten(space, vector)
    _, image = jax.jvp(gradient, (params,), (tangent,))
    return vectors.flatten(space, image)

  return space, product
