"""Intervals over seeds that assume nothing of the distribution.

Effects on training are skewed, and may be infinite where a network never gets
there. The order statistics of a sample hold the median of what it was drawn
from with a probability that is binomial, whatever the distribution (Thompson,
1936): that of six seeds lies between the least and the largest with 1 - 2/2^6.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

CONFIDENCE = 0.95
MIN_SEEDS = 6  # The fewest whose extremes hold the median with CONFIDENCE.


class Interval(NamedTuple):
  """Where a quantity lies.

  Attributes:
    middle: the median.
    low, high: the ends, both included; may be infinite.
    num_samples: how many samples.
    confidence: the probability that the interval holds the median of the
      distribution; 1 where it spans all that there is.
  """

  middle: float
  low: float
  high: float
  num_samples: int
  confidence: float


def of_median(samples: np.ndarray) -> Interval:
  """Returns the narrowest interval of order statistics for the median.

  Args:
    samples: independent draws, `[seed]`; infinities are values like others. A
      NaN is a draw of which nothing is known: it may be the least, and it may
      be the largest.

  Raises:
    ValueError: fewer than `MIN_SEEDS` samples, or nothing but NaN.
  """
  values = _checked(samples)
  count = len(values)
  if count < MIN_SEEDS:
    raise ValueError(
      f'{count} seeds give no interval of confidence {CONFIDENCE:g}; take at '
      f'least {MIN_SEEDS}'
    )
  # P(the median lies outside of the r-th least to the r-th largest).
  outside = 2 * special.bdtr(np.arange(count // 2), count, 0.5)
  rank = int(np.flatnonzero(outside <= 1 - CONFIDENCE)[-1])
  low, high = _ends(values)
  return Interval(
    _median(values[~np.isnan(values)]),
    float(low[rank]),
    float(high[count - 1 - rank]),
    count,
    float(1 - outside[rank]),
  )


def of_all(samples: np.ndarray) -> Interval:
  """Returns the span of what must hold for every sample.

  Args:
    samples: `[n]`, at least one; a NaN is as of `of_median`.

  Raises:
    ValueError: no samples, or nothing but NaN.
  """
  values = _checked(samples)
  low, high = _ends(values)
  middle = _median(values[~np.isnan(values)])
  return Interval(middle, float(low[0]), float(high[-1]), len(values), 1.0)


def _checked(samples: np.ndarray) -> np.ndarray:
  """Returns samples in order, float64, NaN last."""
  values = np.sort(np.asarray(samples, np.float64).reshape(-1))
  if not len(values):
    raise ValueError('there are no samples; give at least one')
  if np.isnan(values).all():
    raise ValueError(f'all {len(values)} samples are NaN; nothing was measured')
  return values


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns samples in order, what is unknown being least, and largest."""
  unknown = np.isnan(values)
  least = np.sort(np.where(unknown, -np.inf, values))
  return least, np.sort(np.where(unknown, np.inf, values))


def _median(values: np.ndarray) -> float:
  """The middle of ordered values, also where some are infinite."""
  lower, upper = values[(len(values) - 1) // 2], values[len(values) // 2]
  return float(lower if lower == upper else (lower + upper) / 2)
