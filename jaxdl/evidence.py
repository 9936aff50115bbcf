"""Evidence: the numbers in a record that verdicts are drawn from.

Everything here maps NumPy arrays to NumPy arrays and treats all cells (and,
where it applies, all steps) at once. The layer axis is the last. A NaN is the
absence of a value: past a cell's own depth, or past its last recorded step.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Signals(NamedTuple):
  """What is judged: `[..., layer]`, NaN past the last hidden layer.

  Attributes:
    profile: log10 of the cotangent's rms, less that at the last hidden layer.
    censored: True where the profile is an upper bound: the cotangent underflows
      there.
    dead: share of units that are zero on the whole batch.
    saturated: share of activations at a flat end.
  """

  profile: Array
  censored: Array
  dead: Array
  saturated: Array


class Evidence(NamedTuple):
  """What the signals amount to: `[...]` each.

  Attributes:
    decades: the profile at layer 1; at most that where `bound`.
    rate, rate_error: slope of the profile in decades a layer, going backward,
      and its standard error; NaN with fewer than three layers to fit.
    underflow: number of layers whose cotangent underflows.
    dead_mean, dead_worst, saturated_mean, saturated_worst: over hidden layers.
    dead_layers: share of the hidden layers that are dead.
  """

  decades: Array
  bound: Array
  rate: Array
  rate_error: Array
  underflow: Array
  dead_mean: Array
  dead_worst: Array
  dead_layers: Array
  saturated_mean: Array
  saturated_worst: Array


class Nonfinite(NamedTuple):
  """Where the first NaN or infinity appeared: `[cell]`, NaN or '' if nowhere.

  Attributes:
    step: the first step with one.
    layer: forward, the layer nearest the input; backward and in the gradient,
      the layer nearest the loss; the last, if only the loss has one.
    direction: `forward`, `backward`, `gradient` or `loss`; the first of these
      that has one at that step.
  """

  step: Array
  layer: Array
  direction: Array


DIRECTIONS = ('forward', 'backward', 'gradient', 'loss')


def signals(
  values: dict[str, Array], depth: Array, *, dead: float, underflow: float
) -> Signals:
  """Reads the signals of every cell, step and layer.

  Where the cotangent underflows, its rms is replaced by `underflow`, an upper
  bound, so that a median or a difference of such values is a bound as well.
  Below a dead layer the cotangent is exactly zero, which is no underflow: the
  profile there is minus infinity. Where the last hidden layer has no cotangent
  to speak of (the loss has reached zero), there is no profile: NaN.

  Args:
    values: `[cell, step, layer]` arrays, by their names in the record.
    depth: number of hidden layers, `[cell]`.
    dead: share of units from which a layer is dead.
    underflow: largest entry below which a cotangent underflows.

  Returns:
    The signals, `[cell, step, layer]`.
  """
  rms = values['cotangent_rms']
  hidden = np.arange(1, rms.shape[-1] + 1) <= depth[:, None, None]
  dead_share = np.where(hidden, values['activation_dead'], np.nan)
  saturated = np.where(hidden, values['activation_saturated'], np.nan)
  blocked = np.nan_to_num(dead_share[..., ::-1]) >= dead
  blocked = np.logical_or.accumulate(blocked, axis=-1)[..., ::-1] & (rms == 0)
  small = values['cotangent_max_abs'] < underflow
  with np.errstate(divide='ignore', invalid='ignore'):
    profile = np.log10(np.where(small & ~blocked, underflow, rms))
  profile[~np.isfinite(rms) | ~hidden] = np.nan
  last = np.where(small, np.nan, profile)
  last = np.take_along_axis(last, depth[:, None, None] - 1, axis=-1)
  profile -= last
  censored = small & ~blocked & ~np.isnan(profile)
  return Signals(profile, censored, dead_share, saturated)


def summarize(signals: Signals, index: Array, inside: Array) -> Signals:
  """Takes medians over chosen steps; a median of bounds is a bound."""
  censored = np.where(np.isnan(signals.profile), np.nan, signals.censored)
  profile, censored, dead, saturated = (
    _median(at_steps(x, index, inside))
    for x in signals._replace(censored=censored)
  )
  return Signals(profile, censored >= 0.5, dead, saturated)


def evidence(signals: Signals, depth: Array, *, dead: float) -> Evidence:
  """Reduces signals `[..., layer]` to numbers `[...]`; `depth` is `[...]`."""
  profile = signals.profile
  usable = np.isfinite(profile) & ~signals.censored
  layer = np.arange(1, profile.shape[-1] + 1)
  rate, rate_error = fit(depth[..., None] - layer, profile, usable)
  return Evidence(
    decades=profile[..., 0],
    bound=signals.censored[..., 0],
    rate=rate,
    rate_error=rate_error,
    underflow=np.sum(signals.censored, axis=-1),
    dead_mean=_mean(signals.dead),
    dead_worst=_max(signals.dead),
    dead_layers=np.sum(signals.dead >= dead, axis=-1) / depth,
    saturated_mean=_mean(signals.saturated),
    saturated_worst=_max(signals.saturated),
  )


def fit(x: Array, y: Array, usable: Array) -> tuple[Array, Array]:
  """Fits a straight line along the last axis by least squares.

  Args:
    x: abscissae, broadcastable to `y`.
    y: ordinates, `[..., n]`.
    usable: which points to fit, `[..., n]`.

  Returns:
    Its slope, and the standard error of that for independent residuals,
    `[...]`; NaN where fewer than three points are usable.
  """
  count = np.sum(usable, axis=-1)
  enough = count >= 3
  divisor = np.maximum(count, 3)

  def centered(z):
    z = np.where(usable, z, 0.0)
    mean = np.sum(z, axis=-1) / divisor
    return np.where(usable, z - mean[..., None], 0.0)

  dx, dy = centered(x), centered(y)
  sxx = np.where(enough, np.sum(dx * dx, axis=-1), 1.0)
  slope = np.sum(dx * dy, axis=-1) / sxx
  residual = dy - slope[..., None] * dx
  variance = np.sum(residual * residual, axis=-1) / (divisor - 2)
  error = np.sqrt(variance / sxx)
  return np.where(enough, slope, np.nan), np.where(enough, error, np.nan)


def last_steps(done: Array, share: float) -> tuple[Array, Array]:
  """Chooses the last `share` of each cell's `done` steps, at least one.

  Returns:
    Their indices `[cell, n]`, and which of these count, `[cell, n]`.
  """
  length = np.maximum(np.ceil(share * done).astype(int), 1)
  offset = np.arange(1, length.max(initial=1) + 1)
  index = done[:, None] - offset
  return np.maximum(index, 0), (offset <= length[:, None]) & (index >= 0)


def at_steps(values: Array, index: Array, inside: Array) -> Array:
  """Gathers steps of `[cell, step, ...]`, with NaN where not `inside`."""
  shape = index.shape + (1,) * (values.ndim - 2)
  taken = np.take_along_axis(values, index.reshape(shape), axis=1)
  return np.where(inside.reshape(shape), taken, np.nan)


def mean_at_steps(values: Array, index: Array, inside: Array) -> Array:
  """Mean of `[cell, step]` over chosen steps; not finite if one of them is."""
  total = np.sum(
    np.where(inside, np.take_along_axis(values, index, axis=1), 0.0), axis=1
  )
  count = np.sum(inside, axis=1)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def nonfinite(values: dict[str, Array], depth: Array) -> Array:
  """Finds NaN and infinities, `[direction, cell, step, layer]`, in order."""
  shape = values['cotangent_rms'].shape
  layer = np.arange(1, shape[-1] + 1)
  loss = np.broadcast_to(~np.isfinite(values['loss'])[..., None], shape)
  found = np.stack(
    [
      ~np.isfinite(values['activation_max_abs']),
      ~np.isfinite(values['cotangent_max_abs']),
      ~np.isfinite(values['gradient_norm']),
      loss & (layer == depth[:, None, None] + 1),
    ]
  )
  return found & (layer <= depth[:, None, None] + 1)


def first_nonfinite(found: Array, recorded: Array) -> Nonfinite:
  """Locates the first of `nonfinite`, among the `recorded` steps."""
  by_step = found.any(axis=(0, 3)) & recorded
  step = np.argmax(by_step, axis=1)
  there = found[:, np.arange(len(step)), step]  # [direction, cell, layer]
  direction = np.argmax(there.any(axis=-1), axis=0)
  at_layer = there[direction, np.arange(len(step))]
  lowest = np.argmax(at_layer, axis=-1) + 1
  highest = at_layer.shape[-1] - np.argmax(at_layer[:, ::-1], axis=-1)
  layer = np.where(direction == 0, lowest, highest)
  exists = by_step.any(axis=1)
  return Nonfinite(
    np.where(exists, step, np.nan),
    np.where(exists, layer, np.nan),
    np.where(exists, np.array(DIRECTIONS)[direction], ''),
  )


def clipping(values: dict[str, Array], recorded: Array) -> dict[str, Array]:
  """Says how often clipping bound, and how much it removed where it did."""
  bound = (values['clip_bound'] > 0) & recorded
  steps = np.sum(recorded, axis=1)
  removed = _mean(values['gradient_removed'])
  return {
    'clip_bound': np.where(
      steps > 0, np.sum(bound, axis=1) / np.maximum(steps, 1), np.nan
    ),
    'clip_removed': _median(np.where(bound, removed, np.nan)),
  }


def since(holds: Array, done: Array, share: float) -> Array:
  """First step, holding itself, from which on `share` of the steps hold.

  Args:
    holds: whether a verdict holds, `[cell, step]`.
    done: number of recorded steps, `[cell]`.
    share: the share asked for.

  Returns:
    The step, `[cell]`, NaN where there is none.
  """
  step = np.arange(holds.shape[1])
  holds = holds & (step < done[:, None])
  total = np.cumsum(holds[:, ::-1], axis=1)[:, ::-1]
  lasting = holds & (total >= share * (done[:, None] - step))
  return np.where(lasting.any(axis=1), np.argmax(lasting, axis=1), np.nan)


def _median(values: Array) -> Array:
  """Median over axis 1 of what is not NaN, infinities included."""
  values = np.sort(values, axis=1)  # NaN last.
  count = np.sum(~np.isnan(values), axis=1, keepdims=True)
  low = np.take_along_axis(values, np.maximum(count - 1, 0) // 2, axis=1)
  last = values.shape[1] - 1
  high = np.take_along_axis(values, np.minimum(count // 2, last), axis=1)
  with np.errstate(over='ignore', invalid='ignore'):
    middle = np.where(low == high, low, low + (high - low) / 2)
  return np.where(count > 0, middle, np.nan)[:, 0]


def _mean(values: Array) -> Array:
  """Mean over the last axis of what is not NaN."""
  count = np.sum(~np.isnan(values), axis=-1)
  total = np.nansum(values, axis=-1)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _max(values: Array) -> Array:
  """Maximum over the last axis of what is not NaN."""
  largest = np.max(np.where(np.isnan(values), -np.inf, values), axis=-1)
  return np.where(largest == -np.inf, np.nan, largest)


def steps_until(
  values: Array, level: float, *, rising: bool = False, window: int = 10
) -> Array:
  """Counts the steps until the mean of the last few reaches a level.

  Args:
    values: `[..., step]`, at least `window` steps.
    level: finite.
    rising: whether the level is reached from below, as by an accuracy.
    window: how many steps are averaged, since one batch is noisy.

  Returns:
    Steps, `[...]`, at least `window`; infinite where the level is not reached.
    A mean that is not finite reaches none.
  """
  wide = np.asarray(values, np.float64)
  means = np.lib.stride_tricks.sliding_window_view(wide, window, -1).mean(-1)
  reached = (means >= level) if rising else (means <= level)
  reached &= np.isfinite(means)
  return np.where(reached.any(-1), reached.argmax(-1) + window, np.inf)
