"""Words: what a record says, in sentences computed from it."""

from collections.abc import Sequence
import itertools
import json
from typing import Any, NamedTuple

from jaxdl.report import configurations
import numpy as np
import pandas as pd
import xarray as xr

_MOST = 6  # Sentences of one sort, at most.
_POINT = 0.01  # A difference in accuracy that counts.
_ALWAYS = 0.9  # Share of the steps at which a clip binds "nearly always".


class Passage(NamedTuple):
  """A paragraph, and what it lists, if anything."""

  text: str
  items: Sequence[str] = ()


def answer(diagnosis: xr.Dataset, frame: pd.DataFrame) -> list[Passage]:
  """Says what happened, and which cures worked, by how much.

  Args:
    diagnosis: what `jaxdl.diagnose` returned.
    frame: its `tables.summary`.

  Returns:
    Passages of plain text.
  """
  passages = [
    Passage(overview(diagnosis, frame)),
    Passage(without_cures(diagnosis, frame), rescues(diagnosis, frame)),
    Passage('Against none, all else equal:', effects(diagnosis)),
    Passage('Median test accuracy:', rankings(diagnosis)),
    Passage(hidden_learning_rates(frame)),
    Passage(limits(diagnosis)),
    Passage('Layers:', architectures(diagnosis)),
  ]
  return [p for p in passages if p.items or not p.text.endswith(':') and p.text]


def architectures(diagnosis: xr.Dataset) -> list[str]:
  """Says which layers are which unit, of models with units of their own."""
  sentences = []
  for model, names in json.loads(diagnosis.attrs.get('layers', '{}')).items():
    units, number = [], 1
    for unit, same in itertools.groupby(n.partition('/')[0] for n in names):
      last = number + len(list(same)) - 1
      span = str(number) if last == number else f'{number} to {last}'
      units.append(f'{span} {unit}')
      number = last + 1
    sentences.append(f'{model}: {", ".join(units)}.')
  return sentences


def overview(diagnosis: xr.Dataset, frame: pd.DataFrame) -> str:
  """Counts verdicts, and names the best configuration."""
  cells = diagnosis.sizes['cell']
  counts = frame['verdict'].value_counts()
  verdicts = listed([f'{count} {name}' for name, count in counts.items()])
  noun = _plural(len(frame), 'configuration')
  runs = f' ({cells} runs)' if cells != len(frame) else ''
  chance = 1 / int(diagnosis.attrs['num_classes'])
  learned = int(_learned(frame).sum())
  sentences = [f'{noun}{runs}: {verdicts}.']
  if frame['test_accuracy'].isna().all():
    return sentences[0] + ' None is finished: there is no test accuracy yet.'
  best = frame.loc[frame['test_accuracy'].idxmax()]
  axes = configurations.varying_axes(diagnosis)
  by = configurations.label({axis: best[axis] for axis in axes})
  sentences.append(
    f'{learned} learned (chance is {_percent(chance)}); the best test accuracy '
    f'is {_percent(best["test_accuracy"])}{f", by {by}" if axes else ""}.'
  )
  return ' '.join(sentences)


def without_cures(diagnosis: xr.Dataset, frame: pd.DataFrame) -> str:
  """Says how the configurations fare that have no cure at all."""
  cures = configurations.cures(diagnosis)
  if not cures:
    return ''
  plain = frame[_is_plain(frame, cures)]
  if plain.empty:
    return ''
  counts = plain['verdict_start'].value_counts()
  start = listed([f'{count} {name}' for name, count in counts.items()])
  learned = int(_learned(plain).sum())
  one = len(plain) == 1
  sentence = (
    f'Without any cure ({listed(cures)}: none) there '
    f'{"is" if one else "are"} {_plural(len(plain), "configuration")}: '
    f'{start} at the first step; {learned} learned.'
  )
  lost = plain['decades_start'].replace(-np.inf, np.nan)
  if lost.notna().any() and lost.min() <= -1:
    worst = plain.loc[lost.idxmin()]
    sentence += (
      f' The steepest loss is {_name(diagnosis, worst, cures)}: '
      f'{"more than " if worst["bound_start"] else ""}'
      f'{-worst["decades_start"]:.1f} decades over the depth'
      f'{_at_rate(worst["rate_start"])}.'
    )
  return sentence


def rescues(diagnosis: xr.Dataset, frame: pd.DataFrame) -> list[str]:
  """Says which single cure made learn what did not, and from what to what."""
  cures = configurations.cures(diagnosis)
  if not cures:
    return []
  plain = frame[_is_plain(frame, cures)]
  stuck = plain[~_learned(plain) & plain['test_accuracy'].notna()]
  sentences, hopeless = [], []
  for _, row in stuck.iterrows():
    sentence = _rescue(diagnosis, frame, row, cures)
    if sentence:
      sentences.append(sentence)
    else:
      hopeless.append(_name(diagnosis, row, cures))
  more = len(sentences) - _MOST
  if more > 0:
    sentences[_MOST:] = [f'So it is with {more} more, see the table.']
  if hopeless:
    more = len(hopeless) - _MOST
    if more > 0:
      hopeless[_MOST:] = [f'{more} more']
    sentences.append(f'Nothing tried made {listed(hopeless)} learn.')
  return sentences


def _rescue(diagnosis, frame, row, cures) -> str:
  """Says what made one configuration learn; '' if nothing did."""
  axes = configurations.varying_axes(diagnosis)
  same = frame
  for axis in set(axes) - set(cures):
    same = same[same[axis] == row[axis]]
  number = (same[cures] != configurations.NONE).sum(axis=1)
  learned = _learned(same)
  if not learned.any():
    return ''
  name = _name(diagnosis, row, cures)
  subject = f'{name}, at {_percent(row["test_accuracy"])} without a cure:'
  single = same[learned & (number == 1)]
  failed = same[~learned & (number == 1)]
  if single.empty:
    best = same[learned].iloc[0]
    reached = _percent(best['test_accuracy'])
    return (
      f'{subject} no cure alone made it learn, '
      f'{_cure(best, cures)} together took it to {reached}.'
    )
  took = [_reached(cured, cures, ' took it to {}') for cured in _rows(single)]
  sentence = f'{subject} {listed(took)}'
  if not failed.empty:
    names = [_reached(cured, cures, ' ({})') for cured in _rows(failed)]
    sentence += f'; {listed(names)} did not make it learn'
  return sentence + '.'


def effects(diagnosis: xr.Dataset) -> list[str]:
  """Compares each cure with none, over cells equal in all other axes."""
  found = [
    _effect(diagnosis, axis, value)
    for axis in configurations.cures(diagnosis)
    for value in configurations.values_of(diagnosis, axis)
    if value != configurations.NONE
  ]
  return [sentence for sentence in found if sentence]


def rankings(diagnosis: xr.Dataset) -> list[str]:
  """Ranks the values of each axis that is no cure by median test accuracy."""
  cures = configurations.cures(diagnosis)
  found = [
    _ranking(diagnosis, axis, configurations.values_of(diagnosis, axis))
    for axis in configurations.varying_axes(diagnosis)
    if axis not in cures
  ]
  return [sentence for sentence in found if sentence]


def differences(
  diagnosis: xr.Dataset, axis: str, value: Any, reference: Any
) -> np.ndarray:
  """Differences in test accuracy between cells that differ in `axis` alone."""
  others = [a for a in configurations.axes(diagnosis) if a != axis]
  columns = [diagnosis[name].values.tolist() for name in others]
  keys = list(zip(*columns, strict=True)) or [()] * diagnosis.sizes['cell']
  accuracy = diagnosis['test_accuracy'].values
  along = diagnosis[axis].values.tolist()
  found = {
    wanted: {
      key: accuracy[i] for i, key in enumerate(keys) if along[i] == wanted
    }
    for wanted in (value, reference)
  }
  pairs = [
    found[value][key] - found[reference][key]
    for key in found[value]
    if key in found[reference]
  ]
  return np.array([pair for pair in pairs if np.isfinite(pair)])


def _effect(diagnosis, axis: str, value: Any) -> str:
  changes = differences(diagnosis, axis, value, configurations.NONE)
  if not len(changes):
    return ''
  better = int(np.sum(changes > _POINT))
  worse = int(np.sum(changes < -_POINT))
  return (
    f'{axis}={configurations.text(value)}: {100 * np.median(changes):+.1f} '
    f'points of test accuracy in the median of {len(changes)} pairs, better by '
    f'more than a point in {better}, worse in {worse}.'
  )


def _ranking(diagnosis, axis: str, values: Sequence[Any]) -> str:
  comparable = _comparable(diagnosis, axis)
  accuracy = diagnosis['test_accuracy'].values
  medians = {}
  for value in values:
    chosen = accuracy[(diagnosis[axis].values == value) & comparable]
    chosen = chosen[np.isfinite(chosen)]
    if len(chosen):
      medians[value] = np.median(chosen)
  if not medians:
    return ''
  order = sorted(medians, key=lambda value: -medians[value])
  ranked = [f'{configurations.text(v)} {_percent(medians[v])}' for v in order]
  equal = '' if comparable.all() else ', all else equal'
  return f'by {axis}{equal}: {", ".join(ranked)}.'


def _comparable(diagnosis: xr.Dataset, axis: str) -> np.ndarray:
  """Marks the cells whose like is there under every value of an axis.

  All of them, if none has: then the values have nothing in common.
  """
  others = [a for a in configurations.varying_axes(diagnosis) if a != axis]
  columns = [diagnosis[name].values.tolist() for name in others]
  cells = diagnosis.sizes['cell']
  keys = list(zip(*columns, strict=True)) or [()] * cells
  along = diagnosis[axis].values.tolist()
  found: dict[Any, set[tuple[Any, ...]]] = {}
  for key, value in zip(keys, along, strict=True):
    found.setdefault(value, set()).add(key)
  shared = set.intersection(*found.values())
  return np.array([not shared or key in shared for key in keys])


def hidden_learning_rates(frame: pd.DataFrame) -> str:
  """Warns of clips that bind at nearly every step."""
  always = frame[frame['clip_bound'] >= _ALWAYS]
  if always.empty:
    return ''
  removed = always['clip_removed']
  low, high = removed.min(), removed.max()
  span = _percent(low)
  if _percent(low) != _percent(high):
    span += f' to {_percent(high)}'
  return (
    f'Clipping bound at nearly every step (at least {_percent(_ALWAYS)}) in '
    f'{_plural(len(always), "configuration")}, where it removed {span} of the '
    'gradient. A clip that binds at every step is a hidden learning rate: '
    'compare it with a smaller learning rate before crediting it.'
  )


def limits(diagnosis: xr.Dataset) -> str:
  """Says where numbers are bounds, and where nothing could be measured."""
  sentences = []
  low = diagnosis[['underflow_start', 'underflow_end']].to_array()
  underflow = int((low.max('variable') > 0).sum())
  if underflow:
    sentences.append(
      f'In {_plural(underflow, "run")} the cotangent falls so low that float32 '
      'loses its smaller entries; the decades lost there are a lower bound '
      '(marked <), and those layers are left out of the rate.'
    )
  unmeasured = int((diagnosis['verdict'] == 'unmeasured').sum())
  if unmeasured:
    sentences.append(f'{_plural(unmeasured, "run")} had not begun.')
  return ' '.join(sentences)


def _is_plain(frame: pd.DataFrame, cures: Sequence[str]) -> pd.Series:
  return (frame[list(cures)] == configurations.NONE).all(axis=1)


def _name(diagnosis, row, cures) -> str:
  axes = configurations.varying_axes(diagnosis)
  values = {axis: row[axis] for axis in axes if axis not in cures}
  return configurations.label(values) if values else 'the network'


def _cure(row, cures) -> str:
  chosen = {c: row[c] for c in cures if row[c] != configurations.NONE}
  return listed([configurations.label({k: v}) for k, v in chosen.items()])


def _rows(frame: pd.DataFrame) -> list[pd.Series]:
  return [row for _, row in frame.iterrows()]


def _reached(row, cures, template: str) -> str:
  return _cure(row, cures) + template.format(_percent(row['test_accuracy']))


def _learned(frame: pd.DataFrame) -> pd.Series:
  return frame['learned_seeds'] * 2 > frame['seeds']


def _at_rate(rate: float) -> str:
  return '' if np.isnan(rate) else f', at {-rate:.2f} a layer'


def _percent(share: float) -> str:
  if np.isnan(share):
    return 'unknown'
  return f'{100 * share:.0f}%' if share < 0.995 else f'{100 * share:.1f}%'


def _plural(count: int, noun: str) -> str:
  return f'{count} {noun}' + ('' if count == 1 else 's')


def listed(items: Sequence[str]) -> str:
  """Writes `a, b and c`."""
  if len(items) < 2:
    return ''.join(items)
  return ', '.join(items[:-1]) + ' and ' + items[-1]
