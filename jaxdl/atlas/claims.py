"""What is claimed: a quantity, and the values of it that bear the claim out."""

from collections.abc import Mapping
import math
from typing import NamedTuple

import numpy as np


class Rule(NamedTuple):
  """The values that bear a claim out: from low to high, both included."""

  low: float = -math.inf
  high: float = math.inf

  def __str__(self) -> str:
    if self.low == self.high:
      return f'= {self.low:g}'
    if math.isinf(self.high):
      return f'≥ {self.low:g}'
    if math.isinf(self.low):
      return f'≤ {self.high:g}'
    return f'{self.low:g} to {self.high:g}'


def at_least(bound: float) -> Rule:
  """Returns the rule of a quantity that is to be no less.

  Args:
    bound: finite.
  """
  return Rule(low=_finite(bound))


def at_most(bound: float) -> Rule:
  """Returns the rule of a quantity that is to be no more.

  Args:
    bound: finite.
  """
  return Rule(high=_finite(bound))


def between(low: float, high: float) -> Rule:
  """Returns the rule of a quantity that is to lie between two bounds.

  Args:
    low: finite.
    high: finite, no less than `low`; equal where the quantity is exact.

  Raises:
    ValueError: they are the wrong way round.
  """
  if _finite(low) > _finite(high):
    raise ValueError(f'no value lies between {low:g} and {high:g}')
  return Rule(low, high)


class Claim(NamedTuple):
  """One thing that a fact says, as a quantity and what it is to be.

  Attributes:
    statement: what is claimed, a sentence without its full stop.
    quantity: what was measured, with its unit: an effect where two things are
      compared, as in `accuracy gained, points`.
    rule: fixed before the measurement.
    measured: the samples of the quantity, `[seed]`, under each condition that
      the claim is tried in; under the name '' where there is but one. What was
      never reached is infinite; NaN is what may be anything.
    every: whether each sample must bear the claim out, as where a mathematical
      identity is claimed; otherwise their median must.
  """

  statement: str
  quantity: str
  rule: Rule
  measured: Mapping[str, np.ndarray]
  every: bool = False


def _finite(bound: float) -> float:
  if not math.isfinite(bound):
    raise ValueError(f'the bound of a rule is {bound}; give a finite number')
  return bound
