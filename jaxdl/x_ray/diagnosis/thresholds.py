"""Where one verdict ends and the next begins."""

from typing import NamedTuple


class Thresholds(NamedTuple):
  """Limits of the verdicts; none depends on the scale of the loss.

  Attributes:
    decades: powers of ten the gradient must lose (or gain) from the last hidden
      layer to the first to count as vanishing (exploding).
    rate_errors: how many of its standard errors the rate must differ from zero
      by: one odd layer is no trend over depth, unless it alone loses `decades`.
    dead: share of units, zero on the whole batch, that makes a layer dead.
    saturated: share of a layer's values, within 1% of a flat end of their
      activation, that makes it saturated.
    concentrated: share of the queries of an attention, with 99% of their mass
      on one key, that makes its softmax saturated.
    spread: 1 less the mean squared cosine between examples, below which they
      are one direction.
    spread_lost: share of the first layer's spread to which it must have fallen.
    input_large: root mean square of the data above which they are too large.
    input_small: largest magnitude of the data below which they are too small.
    input_mean: their mean in standard deviations above which it is too far off.
    constant: share of the units that do not vary over the batch that makes a
      batch normalization degenerate.
    underflow: root mean square of a gradient, in multiples of the smallest
      number of its type, below which much of it is flushed to zero.
    update_ratio: the norm of an update over that of the parameters, all taken
      together, from which a step is too long.
  """

  decades: float = 3.0
  rate_errors: float = 2.0
  dead: float = 0.95
  saturated: float = 0.9
  concentrated: float = 0.75
  spread: float = 1e-4
  spread_lost: float = 0.1
  input_large: float = 10.0
  input_small: float = 0.01
  input_mean: float = 5.0
  constant: float = 0.5
  underflow: float = 16.0
  update_ratio: float = 0.3
