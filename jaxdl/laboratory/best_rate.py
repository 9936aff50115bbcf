"""Records over their axes, and each configuration at its best rate."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

_WINDOW = 10  # Batches over which the loss at the end is averaged.


def over_axes(record: xr.Dataset, axes: Sequence[str]) -> xr.Dataset:
  """Returns a record over its axes, in place of `cell`.

  Args:
    record: of a whole product of axes.
    axes: those that are kept, also where they have but one value.

  Returns:
    The record over `axes`, `seed`, and where it has them `step` and `layer`;
    the values of an axis in the order of the record.

  Raises:
    ValueError: an axis is not kept that has several values.
  """
  wide = record.unstack('cell')
  kept = [*axes, 'seed', *(x for x in ('step', 'layer') if x in wide.sizes)]
  several = [str(name) for name, size in wide.sizes.items() if size > 1]
  lost = [name for name in several if name not in kept]
  if lost:
    raise ValueError(
      f'the record varies in {", ".join(lost)}; keep each of these axes'
    )
  single = {name: 0 for name in wide.sizes if name not in kept}
  # `unstack` sorts; values stand in the order in which they were given.
  order = {name: list(dict.fromkeys(record[name].values)) for name in axes}
  return wide.isel(single, drop=True).sel(order).transpose(*kept)


def at_best_rate(record: xr.Dataset, axes: Sequence[str]) -> xr.Dataset:
  """Returns each configuration at the rate of its lowest training loss.

  The rate is chosen by the median over seeds of the mean loss of the last ten
  batches; a loss that is not finite counts as infinite.

  Args:
    record: of a whole product of axes.
    axes: those that are kept, but `learning_rate`.

  Returns:
    As `over_axes`; `learning_rate` is a variable over `axes`, and `end_loss`
    one over `axes` and `seed`.

  Raises:
    ValueError: an axis is not kept that has several values.
  """
  wide = over_axes(record, ['learning_rate', *axes])
  last = (
    wide['loss'].isel(step=slice(-_WINDOW, None)).mean('step', skipna=False)
  )
  end_loss = last.where(np.isfinite(last), np.inf)
  choice = end_loss.median('seed').argmin('learning_rate')
  best = wide.assign(end_loss=end_loss).isel(learning_rate=choice)
  return best.reset_coords('learning_rate')
