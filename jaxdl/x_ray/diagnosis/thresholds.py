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
      activation, that makes it saturated; of a softmax, the share of the
      queries that have 99% of their mass on one key.
    update_ratio: the norm of an update over that of the parameters, all taken
      together, from which a step is too long.
  """

  decades: float = 3.0
  rate_errors: float = 2.0
  dead: float = 0.95
  saturated: float = 0.9
  update_ratio: float = 0.3
