"""Singular values of the Jacobian of a deep network, in the limit of width.

J is the product of `depth` factors D W: W a square matrix of independent normal
numbers, or a random orthogonal one, and D the diagonal of the slopes of the
activation function. The squared singular values are the eigenvalues of J J^T.
All here is in units of their mean, which is chi_1^depth: so of networks at
criticality as it is. See Pennington et al., 2017,
https://arxiv.org/abs/1711.04735, and 2018, https://arxiv.org/abs/1802.09979.

Of a linear network of normal weights the distribution is the Fuss-Catalan one:
Penson and Zyczkowski, 2011, https://arxiv.org/abs/1103.3453; its density is
that of Haagerup and Moeller, 2013, https://arxiv.org/abs/1211.4457.
"""

import math

import numpy as np

# Halvings of an interval after which it is as small as rounding.
_NUM_HALVINGS = 64


def squared_singular_value_variance(
  mu_1: float, mu_2: float, depth: int, *, orthogonal: bool
) -> float:
  """The variance of the squared singular values, in units of their mean.

  `depth (mu_2 / mu_1^2 - 1 - s_1)`, with s_1 = -1 for normal weights and 0 for
  orthogonal ones, after Pennington et al., 2017.

  Args:
    mu_1: the mean of the squared slope of the activation function over the
      distribution of its input, positive.
    mu_2: the mean of the fourth power of the slope, at least mu_1^2.
    depth: number of layers, at least 1.
    orthogonal: whether the weights are orthogonal rather than normal.

  Raises:
    ValueError: if these are no moments, or the depth is less than 1.
  """
  _require_positive('depth', depth)
  smallest = (1 - 1e-12) * mu_1**2  # Of a linear function, but for rounding.
  if not (0 < mu_1 < math.inf and smallest <= mu_2 < math.inf):
    raise ValueError(
      'mu_1 > 0 and mu_2 >= mu_1^2 must hold, as of the mean second and fourth '
      f'power of a slope; got mu_1={mu_1!r}, mu_2={mu_2!r}.'
    )
  return depth * (max(mu_2 / mu_1**2 - 1, 0.0) + (0 if orthogonal else 1))


def largest_squared_singular_value(
  depth: int, *, orthogonal: bool, open_fraction: float = 1.0
) -> float:
  """The end of the spectrum, for slopes that are 0 or 1.

  From the inverse of the moment generating function, which is (1 + u) / u times
  for each layer (u + p) / p, of normal weights, or (u + p) / (p + p u), of
  orthogonal ones: the spectrum ends at its minimum. In units of the mean.

  Args:
    depth: number of layers, at least 1.
    orthogonal: whether the weights are orthogonal rather than normal.
    open_fraction: p, the probability of the slope 1: 1 for a linear network,
      1/2 for ReLU, erf(1 / sqrt(2 q)) for a hard tanh of inputs of variance q.

  Raises:
    ValueError: if the depth is less than 1, or the fraction not in (0, 1].
  """
  _require_positive('depth', depth)
  p = open_fraction
  if not 0 < p <= 1:
    raise ValueError(f'open_fraction must be in (0, 1], got {p!r}.')
  if not orthogonal:
    linear = depth - 1
    u = 2 * p / (linear + math.sqrt(linear**2 + 4 * depth * p))
    return (1 + u) / u * ((u + p) / p) ** depth
  excess = depth * (1 - p) - 1
  if excess <= 0:  # Some singular values pass through open slopes alone.
    return p**-depth
  u = p / excess
  return (1 + u) / u * ((u + p) / (p + p * u)) ** depth


def fuss_catalan_moment(order: int, depth: int) -> float:
  """The mean power of the squared singular values of a linear network.

  Args:
    order: the power, at least 0.
    depth: number of layers of normal weights, at least 1.

  Raises:
    ValueError: if one is too small.
  """
  _require_positive('depth', depth)
  if order < 0:
    raise ValueError(f'order must be at least 0, got {order}.')
  trees = math.comb((depth + 1) * order, order)
  return float(trees // (depth * order + 1))


def fuss_catalan_density(x: np.ndarray, depth: int) -> np.ndarray:
  """The density of the squared singular values of a linear network.

  Args:
    x: where, of any shape.
    depth: number of layers of normal weights, at least 1; for 1 it is the law
      of Marchenko and Pastur.

  Returns:
    The density, 0 outside the spectrum and infinite at 0; of the shape of x.

  Raises:
    ValueError: if the depth is less than 1.
  """
  _require_positive('depth', depth)
  x = np.asarray(x, np.float64)
  edge = largest_squared_singular_value(depth, orthogonal=False)
  inside = (x > 0) & (x < edge)
  log_x = np.log(np.where(inside, x, edge / 2))
  total, part, one = _log_sines(_angle(log_x, depth), depth)
  density = np.exp(2 * one + (depth - 1) * part - depth * total) / np.pi
  return np.where(inside, density, np.where(x == 0, np.inf, 0.0))


def _log_sines(
  angle: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Logarithms of the sines by which the density is parameterized.

  With a = pi / (depth + 1) - angle, those of (depth + 1) a, depth a and a. The
  angle is 0 where x is 0, and there the first sine is precise.
  """
  most = np.pi / (depth + 1)
  return (
    np.log(np.sin((depth + 1) * angle)),
    np.log(np.sin(most + depth * angle)),
    np.log(np.sin(most - angle)),
  )


def _angle(log_x: np.ndarray, depth: int) -> np.ndarray:
  """Inverts x as a function of the angle, which it grows with, by halving."""
  low = np.zeros_like(log_x)
  high = np.full_like(log_x, np.pi / (depth + 1))
  for _ in range(_NUM_HALVINGS):
    middle = (low + high) / 2
    total, part, one = _log_sines(middle, depth)
    is_below = (depth + 1) * total - one - depth * part < log_x
    low = np.where(is_below, middle, low)
    high = np.where(is_below, high, middle)
  return (low + high) / 2


def _require_positive(name: str, value: int) -> None:
  if value < 1:
    raise ValueError(f'{name} must be at least 1, got {value}.')
