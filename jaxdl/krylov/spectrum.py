"""The whole spectrum of a large symmetric matrix, from random probes.

The Lanczos iteration from a random vector yields a Gaussian quadrature: nodes
and weights such that the weighted mean of f over the nodes estimates the mean
of f over all eigenvalues, without bias where f is a polynomial of a degree
below twice the number of steps. See Ubaru, Chen and Saad, 2017,
https://doi.org/10.1137/16M1104974, and, of the Hessian of a loss, Ghorbani et
al., 2019, https://arxiv.org/abs/1901.10159.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.krylov import lanczos

Array = jax.Array


class Estimate(NamedTuple):
  """A number estimated from independent probes.

  Attributes:
    value: the estimate.
    error: its standard error.
  """

  value: Array
  error: Array


class Spectrum(NamedTuple):
  """What each probe says of the eigenvalues.

  Attributes:
    nodes: `[num_probes, steps]`.
    weights: of the nodes; those of a probe sum to 1, `[num_probes, steps]`.
  """

  nodes: Array
  weights: Array

  def mean(
    self, fn: Callable[[Array], Array] = lambda value: value
  ) -> Estimate:
    """The mean of a function over all eigenvalues.

    Args:
      fn: an elementwise function; the eigenvalue itself by default.
    """
    each = jnp.sum(self.weights * fn(self.nodes), axis=1)
    return _mean_of(each)

  def variance(self) -> Estimate:
    """The variance of the eigenvalues, without bias.

    The square of the mean is estimated by products of different probes; the
    standard error is that of the linear terms in the probes' deviations.
    """
    count = len(self.nodes)
    first = jnp.sum(self.weights * self.nodes, axis=1)
    centre = jnp.mean(first)
    deviation = first - centre
    spread = jnp.square(self.nodes - centre)
    second = jnp.sum(self.weights * spread, axis=1)
    bias = jnp.sum(jnp.square(deviation)) / (count * (count - 1))
    estimate = _mean_of(second)
    return estimate._replace(value=estimate.value + bias)

  def density(self, points: Array, width: Any) -> Array:
    """The density of the eigenvalues, smoothed by a normal distribution.

    Args:
      points: where, `[num]`.
      width: the standard deviation of what each node is smeared over.

    Returns:
      The density, whose integral is 1, `[num]`.
    """
    distance = (points[:, None] - self.nodes.ravel()) / width
    kernel = jax.scipy.stats.norm.pdf(distance) / width
    return kernel @ self.weights.ravel() / len(self.nodes)


def estimate(
  product: lanczos.Product,
  size: int,
  key: Array,
  *,
  num_probes: int,
  steps: int,
  dtype: Any,
) -> Spectrum:
  """Probes a symmetric matrix with vectors of independent random signs.

  Args:
    product: maps a vector to its product with the matrix, `[size]` to `[size]`.
    size: number of rows of the matrix.
    key: of the probes.
    num_probes: how many, at least 2: their differences tell the error.
    steps: of the Lanczos iteration, for each; at most `size` are of use.
    dtype: of the vectors.

  Raises:
    ValueError: if there are too few probes or steps.
  """
  if num_probes < 2:
    raise ValueError(
      f'num_probes must be at least 2, got {num_probes}; their differences '
      'tell the standard error.'
    )
  if steps < 1:
    raise ValueError(f'steps must be at least 1, got {steps}.')

  def probe(key):
    start_key, restart_key = jax.random.split(key)
    start = jax.random.rademacher(start_key, (size,), dtype)
    form = lanczos.tridiagonalize(product, start, min(steps, size), restart_key)
    nodes, vectors = lanczos.eigh(form)
    return nodes, jnp.square(vectors[0])

  return Spectrum(*lax.map(probe, jax.random.split(key, num_probes)))


def _mean_of(samples: Array) -> Estimate:
  error = jnp.std(samples, ddof=1) / jnp.sqrt(len(samples))
  return Estimate(jnp.mean(samples), error)
