"""How many steps training takes to a level, and how much faster one is."""

from jaxdl import evidence
import xarray as xr

_WINDOW = 10  # Batches over which a loss is averaged, since one is noisy.


def steps_until(
  values: xr.DataArray, level: float, *, rising: bool = False
) -> xr.DataArray:
  """Counts the steps until the mean of the last ten batches reaches a level.

  Args:
    values: over `step` and more, such as the `loss` of a record.
    level: finite.
    rising: whether the level is reached from below, as by an accuracy.

  Returns:
    The number of steps over the other dimensions, at least ten; infinite where
    the level was never reached. A mean that is not finite reaches none.

  Raises:
    ValueError: there are fewer than ten steps.
  """
  if values.sizes['step'] < _WINDOW:
    raise ValueError(
      f'{values.sizes["step"]} steps have no mean of {_WINDOW}; train longer'
    )
  ordered = values.transpose(..., 'step')
  steps = evidence.steps_until(
    ordered.values, level, rising=rising, window=_WINDOW
  )
  return ordered.isel(step=0, drop=True).copy(data=steps)


def times_as_many(slower: xr.DataArray, faster: xr.DataArray) -> xr.DataArray:
  """Divides numbers of steps, of which some may be infinite.

  Args:
    slower: steps of what is said to be slower, over `seed` and perhaps more.
    faster: steps of what is said to be faster.

  Returns:
    The ratio: 0 where only what is said to be slower reached the level,
    infinite where only the other did, and NaN where neither did, since it may
    then be anything.
  """
  neither = (slower == float('inf')) & (faster == float('inf'))
  return slower.where(~neither) / faster


def fewest_steps(steps: xr.DataArray) -> xr.DataArray:
  """Returns each configuration's steps at the rate that takes the fewest.

  `laboratory.at_best_rate` chooses the rate that ends lowest, which is often a
  smaller one than the fastest.

  Args:
    steps: over `learning_rate`, `seed` and perhaps more.

  Returns:
    `steps` at the rate of the least median over seeds, the smallest of those
    that are equal; `learning_rate` is a coordinate.
  """
  return steps.isel(learning_rate=steps.median('seed').argmin('learning_rate'))
