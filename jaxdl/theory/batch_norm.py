"""Mean field theory of batch norm: why it makes gradients explode.

In a wide random network whose pre-activations are normalized over the batch, B
inputs that differ enough end up equally far from each other, whatever they
were: at a unit, the batch of pre-activations is sqrt(B) times a random
direction among those that are orthogonal to (1, ..., 1). So moments are
integrals over a sphere, of B - 1 dimensions. See Yang et al., 2019, "A mean
field theory of batch normalization", https://arxiv.org/abs/1902.08129.

What of a squared cotangent comes back through a layer follows from the
Jacobian of batch norm, sqrt(B) / |z| (1 - 1 1^T / B - u u^T / B), with u the
normalized z; the mean of 1 / |z|^2 is finite from B = 4 on. It is exact at
every such B, in the limit of width: (B - 2) / (B - 3) a layer if that is
linear, pi / (pi - 1) with ReLU as B grows.
"""

import functools
import math
from typing import NamedTuple

from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
from jaxdl.theory import quadrature
import numpy as np

Array = np.ndarray

SMALLEST_BATCH = 4

_REACH = 12.0  # Standard deviations; the density beyond is below 1e-32.
_STANDARD_BREAKS = (-4.5, -2.0, 0.0, 2.0, 4.5)
_PANEL_TOLERANCE = 3e-14
_TOLERANCE = 1e-9


class BatchMoments(NamedTuple):
  """Expectations of an activation f of a batch-normalized u.

  Attributes:
    mean: E[f(u_a)].
    mean_square: E[f(u_a)^2].
    product: E[f(u_a) f(u_b)], of two examples of the batch.
    backward: what is left of the mean of squared cotangents, on the way through
      the activation, batch norm and weights of unit variance / fan_in, where
      the layer's inputs have `spread` 1. Of cotangents that add up to zero over
      the batch; batch norm returns no others.
  """

  mean: float
  mean_square: float
  product: float
  backward: float

  @property
  def spread(self) -> float:
    """Half the mean squared difference of two examples, at a unit."""
    return self.mean_square - self.product

  @property
  def growth(self) -> float:
    """The factor of the mean squared cotangent a layer, going backward."""
    return self.backward / self.spread


def batch_moments(
  activation: elementwise.Activation | elementwise.Elementwise,
  batch_size: int | None,
) -> BatchMoments:
  """Returns the moments of an activation after batch norm, without its epsilon.

  Args:
    activation: a specification such as `tanh`, a function of one array, or an
      `Elementwise`.
    batch_size: B, at least 4; None stands for the limit of large batches.

  Raises:
    ValueError: if the activation is refused, the batch is too small, or an
      integral does not converge.
  """
  found = elementwise.elementwise(activation)
  if batch_size is None:
    return _of_large_batches(found)
  if isinstance(batch_size, bool) or int(batch_size) != batch_size:
    raise ValueError(f'batch_size must be an integer, got {batch_size!r}.')
  if batch_size < SMALLEST_BATCH:
    raise ValueError(
      f'batch_size is {batch_size}; it must be at least {SMALLEST_BATCH}: in '
      'smaller batches the squared gradient behind batch norm has no mean.'
    )
  return _of_batches(found, int(batch_size))


def gradient_growth(
  activation: elementwise.Activation | elementwise.Elementwise,
  batch_size: int | None = None,
) -> float:
  """Returns the growth of the mean squared gradient a layer, going backward.

  Of layers `f(batch_norm(W x))`, in the limit of width and depth, whatever the
  variance of the weights. By Poincare's inequality on the sphere it is at least
  (B - 2) / (B - 3), and more unless f is linear: gradients always explode.

  Args:
    activation: a specification such as `tanh`, or a function of one array.
    batch_size: B, at least 4; None stands for the limit of large batches,
      E[f'^2] / Var[f].

  Raises:
    ValueError: as of `batch_moments`.
  """
  return batch_moments(activation, batch_size).growth


def _of_large_batches(found: elementwise.Elementwise) -> BatchMoments:
  moments = gaussian.moments(found, 1.0)
  mean = float(moments.mean)
  return BatchMoments(
    mean, float(moments.mean_square), mean**2, float(moments.mean_square_slope)
  )


@functools.lru_cache(maxsize=256)
def _of_batches(
  found: elementwise.Elementwise, batch_size: int
) -> BatchMoments:
  b = batch_size
  mean, square, slope, radial = map(float, _singles(found, b))
  product, slope_product, radial_product = map(float, _pairs(found, b))
  # tr E[(1 - 1 1^T / B - u u^T / B) D G D], where D is diag(f'), and G the
  # covariance of cotangents that add up to zero, of trace 1.
  kept = slope * (1 - 1 / b) - (radial - slope_product - radial_product) / b
  return BatchMoments(mean, square, product, b / (b - 3) * kept)


def _singles(found: elementwise.Elementwise, batch_size: int) -> Array:
  """Returns E[f], E[f^2], E[f'^2] and E[(u f')^2].

  Of u = r sin(angle), r^2 = B - 1; the angle has the density cos^(B - 3), times
  a constant.
  """
  radius = math.sqrt(batch_size - 1)

  def integrand(angle, owner):
    del owner
    u = radius * np.sin(angle)
    f, slope = found.value_and_slope(u)
    parts = (np.ones_like(f), f, f * f, slope**2, (u * slope) ** 2)
    return np.stack(parts) * np.cos(angle) ** (batch_size - 3)

  reach = _reach(radius)
  breaks = _angles(np.array([*found.kinks, *_STANDARD_BREAKS]) / radius)
  parts = quadrature.panels(breaks[None], -reach, reach)
  result = quadrature.integrate(integrand, parts, 1)
  return _checked(found, batch_size, result, 0.0)


def _pairs(found: elementwise.Elementwise, batch_size: int) -> Array:
  """Returns E[f f], E[f' f'] and E[u f' u f'] of two examples.

  Their directions have the cosine -1 / (B - 1): u_b is r (cosine sin(angle) +
  sine cos(angle) sin(inner)); the inner angle has the density cos^(B - 4),
  times a constant.
  """
  radius = math.sqrt(batch_size - 1)
  cosine = -1 / (batch_size - 1)
  sine = math.sqrt(1 - cosine**2)
  reach = _reach(radius)
  scale = _pair_scale(found, batch_size)

  def outer(angle, owner):
    del owner
    along, across = np.sin(angle).ravel(), np.cos(angle).ravel()
    first, slope_1 = found.value_and_slope(radius * along)

    def inner(beyond, owner):
      turned = sine * across[owner] * np.sin(beyond)
      u = radius * (cosine * along[owner] + turned)
      other, slope_2 = found.value_and_slope(u)
      slopes = slope_1[owner] * slope_2
      parts = (first[owner] * other, slopes, slopes * radius * along[owner] * u)
      ones = np.ones_like(u)
      return np.stack((ones, *parts)) * np.cos(beyond) ** (batch_size - 4)

    marks = np.array([*found.kinks, *_STANDARD_BREAKS]) / radius
    with np.errstate(divide='ignore'):
      moved = (marks - cosine * along[:, None]) / (sine * across[:, None])
    parts = quadrature.panels(_angles(moved), -reach, reach)
    result = quadrature.integrate(
      inner, parts, along.size, scale=scale, tolerance=_PANEL_TOLERANCE
    )
    value = result.value.reshape(-1, *angle.shape)
    return value * np.cos(angle) ** (batch_size - 3)

  breaks = _outer_breaks(found.kinks, radius, math.asin(cosine))
  parts = quadrature.panels(breaks[None], -reach, reach)
  result = quadrature.integrate(
    outer, parts, 1, scale=scale, tolerance=_PANEL_TOLERANCE
  )
  return _checked(found, batch_size, result, scale[:, 0])


def _pair_scale(found: elementwise.Elementwise, batch_size: int) -> Array:
  """Returns [4, 1]: what errors of the four integrals are measured by."""
  _, square, slope, radial = _singles(found, batch_size)
  density = math.sqrt(2 * math.pi / batch_size)  # About its integral.
  return density * np.array([[1.0], [square], [slope], [radial]])


def _outer_breaks(
  kinks: tuple[float, ...], radius: float, tilt: float
) -> Array:
  """Where the integrand in the outer angle isn't smooth.

  At the kinks of u_a, and where those of u_b enter the circle on which it is.
  """
  marks = np.array([*kinks, *_STANDARD_BREAKS]) / radius
  inside = np.abs(marks) <= 1
  half = np.arccos(marks[inside])
  return np.concatenate(
    [_angles(marks), tilt + half, tilt - half, math.pi - half - tilt]
  )


def _angles(sines: Array) -> Array:
  return np.arcsin(np.clip(sines, -1, 1))


def _reach(radius: float) -> float:
  """Beyond it, the density of the angle is negligible."""
  return min(math.pi / 2, _REACH / radius)


def _checked(
  found: elementwise.Elementwise,
  batch_size: int,
  result: quadrature.Integrals,
  scale: Array | float,
) -> Array:
  """Returns the integrals in units of the first, that of the density."""
  value, error = result.value[:, 0], result.error[:, 0]
  allowed = np.maximum(result.magnitude[:, 0], 1e-12 * value[0])
  if not np.all(error <= _TOLERANCE * np.maximum(allowed, scale)):
    raise ValueError(
      f'The moments of activation {found.name} after batch norm over '
      f'{batch_size} examples do not converge; it grows, oscillates or spikes '
      'too fast.'
    )
  return value[1:] / value[0]
