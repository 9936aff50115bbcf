"""Whether what was measured of random networks agrees with theory.

Each quantity is one number a seed, from all layers of that network, since
layers of one network are not independent; the standard error is that over the
seeds, and theory's number is the same function of its profile.

Rates are means of ratios from layer to layer, not slopes of logarithms. Given
one side of a layer, the expectation of the ratio is theory's factor (exactly,
for positively homogeneous activations without bias), and the ratios of
different layers are uncorrelated; while the expectation of a logarithm is less
by half its variance, about 5 / (2 width) a layer of ReLU, and the product over
all layers has a variance that grows as exp(5 depth / width). See Hanin & Nica,
2020, "Products of many large random matrices and gradients in deep neural
networks", https://arxiv.org/abs/1812.05994.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

Array = np.ndarray

QUANTITIES = ('variance', 'gradient', 'correlation')

_RESOLVED_GAP = 1e-9  # Below, rounding of float32 adds to a gap.
_LEAST_DEVIATION = 0.05  # Of the first; below, it drowns in its fluctuations.


class Estimate(NamedTuple):
  """A number of theory, and the same measured.

  Attributes:
    predicted: by theory.
    measured: an average over seeds.
    standard_error: of `measured`, from the spread over seeds.
  """

  predicted: float
  measured: float
  standard_error: float

  @property
  def z(self) -> float:
    """How many standard errors `measured` lies above `predicted`."""
    difference = self.measured - self.predicted
    return difference / self.standard_error if difference else 0.0

  @property
  def relative(self) -> float:
    """The difference, as a fraction of `predicted`."""
    return self.measured / self.predicted - 1


def compare(measured: xr.Dataset, predicted: xr.Dataset) -> pd.DataFrame:
  """Compares, three quantities of each configuration.

  `variance` is that of the pre-activations at rest, if layers forget the one
  that they were given, else the factor by which it grows a layer. `gradient` is
  the factor of the squared gradient. `correlation` is the factor of 1 - c where
  c tends to 1, else of c - c_star.

  Args:
    measured: what `initialization.measure` returned.
    predicted: what `mean_field.predict` returned of the same configurations.

  Returns:
    A row for each: the configuration (`activation`, `weight_std`, `bias_std`,
    `phase`), its `c_star` (NaN if theory has none), `quantity`, `growth`
    (whether a factor), `predicted`, `measured`, `standard_error`, `relative`
    (measured / predicted - 1) and `z`.

  Raises:
    ValueError: if there is one seed only.
  """
  if measured.sizes['seed'] < 2:
    raise ValueError('One seed has no spread; measure at least two.')
  rows = []
  for i in range(predicted.sizes['configuration']):
    theory = predicted.isel(configuration=i)
    found = measured.isel(configuration=i).transpose('seed', 'layer', 'input')
    for quantity, estimate in zip(
      QUANTITIES, _estimates(found, theory), strict=True
    ):
      rows.append(
        {
          'activation': str(theory['activation'].values),
          'weight_std': float(theory['weight_std']),
          'bias_std': float(theory['bias_std']),
          'phase': str(theory['phase'].values),
          'c_star': float(theory['c_star']),
          'quantity': quantity,
          'growth': quantity != 'variance' or not bool(theory['forgets']),
          **estimate._asdict(),
          'relative': estimate.relative,
          'z': estimate.z,
        }
      )
  return pd.DataFrame(rows)


def _estimates(found: xr.Dataset, theory: xr.Dataset) -> Iterator[Estimate]:
  """Yields one of each quantity."""
  variance, expected = found['variance'].values, theory['variance'].values
  if bool(theory['forgets']):
    yield at_rest(variance, expected)
  else:
    yield mean_ratio(variance, expected)
  backward = slice(None, None, -1)
  yield mean_ratio(
    found['squared_gradient'].values[:, backward],
    theory['squared_gradient'].values[backward],
  )
  gap, expected = found['gap'].values, theory['gap'].values
  if bool(theory['tends_to_one']):
    yield mean_ratio(gap[..., 1], expected[:, 1], least=_RESOLVED_GAP)
  else:
    yield ratio_of_sums(
      gap[..., 0] - gap[..., 1], expected[:, 0] - expected[:, 1]
    )


def at_rest(measured: Array, predicted: Array) -> Estimate:
  """Averages over all layers but the first, whose value was put in.

  Args:
    measured: `[seed, layer]`.
    predicted: `[layer]`.
  """
  seeds = measured[:, 1:].mean(1)
  return Estimate(float(predicted[1:].mean()), *_over_seeds(seeds))


def mean_ratio(
  measured: Array, predicted: Array, least: float = 0.0
) -> Estimate:
  """Averages the ratios of each layer to the one before.

  Args:
    measured: `[seed, layer]`, positive.
    predicted: `[layer]`.
    least: layers count up to the first at which the prediction is below it.
  """
  count = _count(predicted, least)
  measured, predicted = measured[:, :count], predicted[:count]
  seeds = (measured[:, 1:] / measured[:, :-1]).mean(1)
  expected = float((predicted[1:] / predicted[:-1]).mean())
  return Estimate(expected, *_over_seeds(seeds))


def ratio_of_sums(measured: Array, predicted: Array) -> Estimate:
  """Divides the sum over layers from the second on by that up to the last.

  For what is not of one sign in every network, so that its mean over seeds
  decays: by the same factor at each layer, or else an average of factors. The
  standard error is linearized.

  Args:
    measured: `[seed, layer]`.
    predicted: `[layer]`; layers count up to where it falls to a twentieth.
  """
  size = np.abs(predicted)
  count = _count(size, _LEAST_DEVIATION * size[0])
  sums = lambda x: (x[..., 1:count].sum(-1), x[..., : count - 1].sum(-1))
  later, earlier = sums(measured)
  ratio = float(later.mean() / earlier.mean())
  _, error = _over_seeds((later - ratio * earlier) / earlier.mean())
  expected_later, expected_earlier = sums(predicted)
  return Estimate(float(expected_later / expected_earlier), ratio, error)


def _count(predicted: Array, least: float) -> int:
  """Returns how many layers come before one below `least`, at least two."""
  below = np.flatnonzero(predicted < least)
  return max(2, int(below[0])) if below.size else len(predicted)


def _over_seeds(seeds: Array) -> tuple[float, float]:
  """Returns the mean and its standard error."""
  error = np.std(seeds, ddof=1) / np.sqrt(len(seeds))
  return float(np.mean(seeds)), float(error)
