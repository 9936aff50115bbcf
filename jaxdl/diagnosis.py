"""Diagnosis: from a record to verdicts, with the evidence in numbers.

A deep network multiplies the gradient by one Jacobian a layer, so on its way
from the loss to the first layer it shrinks or grows geometrically (Bengio et
al., 1994; Pascanu et al., 2013). A geometric profile is a straight line in the
logarithm, and has two numbers: its slope, the *rate* in decades (powers of ten)
a layer, and what that adds up to over the depth, the *decades* won or lost.
Here they are measured at the first step, where initialization decides them
(Glorot & Bengio, 2010; He et al., 2015), and over the last steps of training.

The first of these that applies, in this order, is the verdict. Each makes the
ones below it moot: no profile can be read from NaN, and no gradient gets past a
dead layer, whatever its rate.

1. `unmeasured`: no step is recorded yet.
2. `diverged`: something is not finite, or the loss has grown beyond
   `Thresholds.loss_growth`.
3. `dead`: a layer's units are zero on the whole batch, and the gradient is lost
   there, or (it flows past, along a shortcut) most layers are so.
4. `vanishing`, `exploding`: by both the decades over the depth and the rate.
   With fewer than three layers to fit there is no rate, and the decades decide
   alone; a network of one hidden layer has no depth to lose it in.
5. `saturated`: a hidden layer sits at the flat ends of its activation.
6. `healthy`: none of these. It may still not have learned: see `learned`.

A diagnosis has these variables over `cell`:

- `verdict`: at the end of training, by medians over the last `window` of the
  steps; where the loss has reached zero there is no gradient to judge, and the
  first step's profile stands in. `verdict_start`: at the first step. A network
  can escape (vanishing, then healthy), or get caught only in training.
- `learned`: whether the test accuracy is above chance by `learned_margin`.
- `decades_start`, `decades_end`: log10 of the cotangent's rms at layer 1 over
  that at the last hidden layer, negative where lost; at least so much is lost
  where `bound_start`, `bound_end`; minus infinity below a dead layer.
- `rate_start`, `rate_end`: slope in decades a layer, going backward, and
  `rate_error_start`, `rate_error_end`, its standard error for independent
  residuals. Layers multiply, so residuals are correlated, and it is the lower
  end of what the rate's uncertainty may be.
- `underflow_start`, `underflow_end`: layers whose cotangent underflows.
- `layer`: the layer that the verdict is about: the one across which most is
  lost (vanishing) or won (exploding), the dead one nearest the input, the most
  saturated one, the first not finite. `since`: the step since which it holds.
- `dead_mean`, `dead_worst`, `saturated_mean`, `saturated_worst`: shares at the
  end, over hidden layers.
- `loss`, `accuracy`: training, means over the last steps; `test_loss`,
  `test_accuracy`: the record's.
- `nonfinite_step`, `nonfinite_layer`, `nonfinite_direction`: where the first
  NaN or infinity appeared (see `evidence.Nonfinite`).
- `clip_bound`, `clip_removed`: share of the steps at which clipping bound, and
  median share of the gradient that it removed there.

References:
  Bengio, Simard, Frasconi, [Learning long-term dependencies with gradient
  descent is difficult](https://doi.org/10.1109/72.279181), 1994.
  Glorot, Bengio, [Understanding the difficulty of training deep feedforward
  neural networks](https://proceedings.mlr.press/v9/glorot10a.html), 2010.
  Pascanu, Mikolov, Bengio, [On the difficulty of training recurrent neural
  networks](https://arxiv.org/abs/1211.5063), 2013.
  He et al., [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852),
  2015.
"""

import json
from typing import NamedTuple

from jaxdl import evidence
import numpy as np
import xarray as xr

Array = np.ndarray

VERDICTS = (
  'healthy',
  'saturated',
  'vanishing',
  'exploding',
  'dead',
  'diverged',
  'unmeasured',
)

_DIMS = {
  **dict.fromkeys(
    (
      'activation_max_abs',
      'activation_dead',
      'activation_saturated',
      'cotangent_rms',
      'cotangent_max_abs',
      'gradient_norm',
      'gradient_removed',
    ),
    ('cell', 'step', 'layer'),
  ),
  **dict.fromkeys(('loss', 'accuracy', 'clip_bound'), ('cell', 'step')),
  **dict.fromkeys(('test_loss', 'test_accuracy', 'steps_done'), ('cell',)),
}


class Thresholds(NamedTuple):
  """Where one verdict ends and the next begins.

  Attributes:
    decades: powers of ten the cotangent must lose (or gain) between the last
      hidden layer and the first to count as vanishing (exploding).
    rate_errors: how many of its standard errors the rate must differ from zero
      by, in the same direction: one odd layer is no trend over depth.
    dead: share of units, zero on the whole batch, that makes a layer dead.
    dead_layers: share of dead layers that makes a network dead even though the
      gradient passes them by, as it does along a shortcut.
    saturated: share of a layer's activations, within 1% of a flat end, that
      makes it saturated; one such hidden layer suffices.
    loss_growth: a finite loss this many times above the larger of its first
      value and the loss of a uniform guess has diverged too.
    learned_margin: test accuracy above chance from which a network has learned.
    window: share of the recorded steps, the last ones, that counts as the end.
    holds: share of the steps, from one to the end, at which a verdict must hold
      to be said to hold since that one.
    underflow: largest cotangent entry below which the layer is a bound only:
      its entries 2**-24 times smaller lie under float32's smallest normal
      number, 2**-126, and may be flushed to zero.
  """

  decades: float = 3.0
  rate_errors: float = 2.0
  dead: float = 0.95
  dead_layers: float = 0.5
  saturated: float = 0.9
  loss_growth: float = 10.0
  learned_margin: float = 0.1
  window: float = 0.1
  holds: float = 0.9
  underflow: float = 2.0**-102


_DEFAULT = Thresholds()


def diagnose(
  record: xr.Dataset, thresholds: Thresholds = _DEFAULT
) -> xr.Dataset:
  """Judges every cell of a record.

  Args:
    record: a record (see `docs/architecture.md`).
    thresholds: where one verdict ends and the next begins.

  Returns:
    A dataset over `cell`, with the record's coordinates on it and the variables
    that this module's documentation lists.

  Raises:
    ValueError: if `record` lacks a variable, coordinate or attribute.
  """
  values = _read(record)
  t = thresholds
  depth = np.broadcast_to(record['depth'].values, record.sizes['cell'])
  depth = depth.astype(int)
  done = np.minimum(values['steps_done'].astype(int), record.sizes['step'])
  recorded = np.arange(record.sizes['step']) < done[:, None]
  signals = evidence.signals(values, depth, dead=t.dead, underflow=t.underflow)
  by_step = evidence.evidence(signals, depth[:, None], dead=t.dead)
  start = evidence.Evidence(*(x[:, 0] for x in by_step))
  window = evidence.last_steps(done, t.window)
  end_signals = evidence.summarize(signals, *window)
  end = evidence.evidence(end_signals, depth, dead=t.dead)

  nonfinite = evidence.nonfinite(values, depth)
  first = evidence.first_nonfinite(nonfinite, recorded)
  loss = evidence.mean_at_steps(values['loss'], *window)
  limit = t.loss_growth * _reference_loss(values, record)
  diverged = nonfinite.any(axis=(0, 3)) | (values['loss'] > limit[:, None])
  verdicts = _classify(by_step, diverged, recorded, t)
  verdict = _classify(
    _stand_in(end, start),
    _ends_diverged(values, nonfinite, done) | (loss > limit),
    done > 0,
    t,
  )
  return _dataset(
    record,
    t,
    {
      'verdict': verdict,
      'verdict_start': verdicts[:, 0],
      'learned': _learned(values, record, t),
      **_columns(start, end),
      'layer': _layer(verdict, end_signals, depth, first, t),
      'since': evidence.since(verdicts == verdict[:, None], done, t.holds),
      'loss': loss,
      'accuracy': evidence.mean_at_steps(values['accuracy'], *window),
      'test_loss': values['test_loss'],
      'test_accuracy': values['test_accuracy'],
      **{f'nonfinite_{k}': v for k, v in first._asdict().items()},
      **evidence.clipping(values, recorded),
    },
  )


def _read(record: xr.Dataset) -> dict[str, Array]:
  """Reads what is needed as float64, dimensions in the record's order."""
  missing = sorted(set(_DIMS) - set(record.data_vars))
  missing += sorted({'layer', 'depth'} - set(record.coords))
  missing += sorted({'num_classes'} - set(record.attrs))
  if missing:
    raise ValueError(
      f'The record lacks {", ".join(missing)}; docs/architecture.md lists the '
      'variables, coordinates and attributes of a record.'
    )
  if not record.sizes['step'] or not record.sizes['cell']:
    raise ValueError('The record is empty: it has no cell or no step.')
  odd = [x for x in (*_DIMS, 'depth') if record[x].dtype.kind not in 'biuf']
  if odd:
    raise ValueError(
      f'The record is damaged: {", ".join(odd)} must be numbers.'
    )
  _check_attributes(record)
  return {
    name: record[name].transpose(*dims).values.astype(float)
    for name, dims in _DIMS.items()
  }


def _check_attributes(record: xr.Dataset) -> None:
  """Raises a ValueError if attributes are none of a record."""
  attributes = record.attrs
  try:
    is_whole = (
      int(attributes['num_classes']) >= 1
      and isinstance(json.loads(attributes.get('axes', '[]')), list)
      and isinstance(json.loads(attributes.get('layers', '{}')), dict)
    )
  except (RecursionError, TypeError, ValueError):
    is_whole = False
  if not is_whole:
    raise ValueError(
      'The record is damaged: of its attributes, num_classes must be an '
      'integer from 1, axes a list in JSON, and layers an object in JSON.'
    )


def _reference_loss(values: dict[str, Array], record: xr.Dataset) -> Array:
  """The larger of the first loss and a uniform guess's, log(num_classes)."""
  uniform = np.log(int(record.attrs['num_classes']))
  return np.fmax(values['loss'][:, 0], uniform)


def _ends_diverged(values, nonfinite: Array, done: Array) -> Array:
  """Whether the last step, or the test after it, is not finite."""
  last = np.maximum(done - 1, 0)
  at_end = nonfinite[:, np.arange(len(done)), last].any(axis=(0, 2))
  tested = np.isfinite(values['test_accuracy'])
  return at_end | (tested & ~np.isfinite(values['test_loss']))


def _stand_in(
  end: evidence.Evidence, start: evidence.Evidence
) -> evidence.Evidence:
  """Takes the start's profile where the end has none."""
  none = np.isnan(end.decades)
  pick = {
    name: np.where(none, getattr(start, name), getattr(end, name))
    for name in ('decades', 'bound', 'rate', 'rate_error')
  }
  return end._replace(**pick)


def _classify(
  e: evidence.Evidence, diverged: Array, recorded: Array, t: Thresholds
) -> Array:
  """Names the verdict; the module states the order and the reasons."""
  no_rate = np.isnan(e.rate)
  falls = no_rate | (e.rate < -t.rate_errors * e.rate_error)
  rises = no_rate | (e.rate > t.rate_errors * e.rate_error)
  lost = e.decades <= -t.decades
  dead = (e.dead_worst >= t.dead) & (lost | (e.dead_layers >= t.dead_layers))
  choices = {
    'unmeasured': ~recorded,
    'diverged': diverged,
    'dead': dead,
    'vanishing': lost & falls,
    'exploding': (e.decades >= t.decades) & rises,
    'saturated': e.saturated_worst >= t.saturated,
  }
  return np.select(list(choices.values()), list(choices), 'healthy')


def _layer(
  verdict: Array,
  end: evidence.Signals,
  depth: Array,
  first: evidence.Nonfinite,
  t: Thresholds,
) -> Array:
  """The layer that the verdict is about, `[cell]`, NaN where there is none."""
  with np.errstate(invalid='ignore'):
    # Going backward through layer l, the profile changes by this much.
    change = end.profile[:, :-1] - end.profile[:, 1:]
  change = np.pad(change, ((0, 0), (1, 0)), constant_values=np.nan)
  candidates = {
    'diverged': first.layer,
    'dead': _argmax(np.where(end.dead >= t.dead, 1.0, np.nan)),
    'vanishing': _argmax(-change),
    'exploding': _argmax(change),
    'saturated': _argmax(end.saturated),
  }
  conditions = [verdict == name for name in candidates]
  layer = np.select(conditions, list(candidates.values()), np.nan)
  return np.where(layer <= depth + 1, layer, np.nan)


def _argmax(values: Array) -> Array:
  """The layer, from 1, of the first maximum; NaN where all are NaN."""
  filled = np.where(np.isnan(values), -np.inf, values)
  none = np.isnan(values).all(axis=-1)
  return np.where(none, np.nan, np.argmax(filled, axis=-1) + 1)


def _learned(values, record: xr.Dataset, t: Thresholds) -> Array:
  """Whether the test accuracy, NaN until a cell is done, is above chance."""
  chance = 1 / int(record.attrs['num_classes'])
  return values['test_accuracy'] >= chance + t.learned_margin


def _columns(
  start: evidence.Evidence, end: evidence.Evidence
) -> dict[str, Array]:
  both = ('decades', 'bound', 'rate', 'rate_error', 'underflow')
  shares = ('dead_mean', 'dead_worst', 'saturated_mean', 'saturated_worst')
  columns = {}
  for name in both:
    columns[f'{name}_start'] = getattr(start, name)
    columns[f'{name}_end'] = getattr(end, name)
  columns.update({name: getattr(end, name) for name in shares})
  return columns


def _dataset(record, thresholds, columns: dict[str, Array]) -> xr.Dataset:
  over_cells = record.drop_dims(['step', 'layer'])
  result = over_cells.drop_vars(over_cells.data_vars).assign(
    {name: ('cell', value) for name, value in columns.items()}
  )
  return result.assign_attrs(thresholds=json.dumps(thresholds._asdict()))
