"""What is wrong with the data, or with how a model takes them."""

import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Input
from jaxdl.x_ray.results import Moments


def input_scale(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects data that enter a first layer unscaled.

  Initializations keep the size of what they are given, and assume that it is of
  order 1 around 0 (LeCun et al., 1998).

  Args:
    examination: what was measured.
    thresholds: `input_large`, `input_small` and `input_mean`.
  """
  found = []
  for data in examination.inputs:
    rms, std = float(data.forward.rms), float(data.forward.std)
    largest, mean = float(data.forward.max_abs), float(data.forward.mean)
    is_off = (
      rms > thresholds.input_large
      or largest < thresholds.input_small
      or abs(mean) > thresholds.input_mean * std
    )
    if is_off or not math.isfinite(largest):
      found.append(_input(data, mean, std, largest))
  return found


def _input(data: Input, mean: float, std: float, largest: float) -> Suspicion:
  evidence = (
    f'the data that enter it, {data.dtype} of shape {list(data.shape)}, have '
    f'mean {words.number(mean)} and standard deviation {words.number(std)}, '
    f'{words.number(largest)} at most'
  )
  remedies: tuple[str, ...] = (
    f'give it (x - {words.number(mean)}) / {words.number(std)}, better with '
    'the mean and the deviation of each feature over the training set',
  )
  if std == 0:
    remedies = ('give it data: every number in this batch is the same',)
  elif mean > 0 and 64 < largest <= 255:
    remedies = ('give it x / 255: these look like bytes', *remedies)
  remedies += ('normalize in the model, before its first layer',)
  return Suspicion('input_scale', data.name, evidence, remedies)


def batch_norm(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects normalizations over a batch that does not vary.

  Args:
    examination: what was measured.
    thresholds: `constant`.
  """
  return [
    _degenerate(examination, moments)
    for moments in examination.moments
    if moments.constant >= thresholds.constant
  ]


def _degenerate(examination: Examination, moments: Moments) -> Suspicion:
  count = math.prod(moments.shape[axis] for axis in moments.axes)
  share = words.percent(moments.constant)
  if count == 1:
    evidence = (
      'it normalizes over a single number: the variance is 0 and what leaves '
      'it does not depend on the example'
    )
    remedies: tuple[str, ...] = (
      'train with a batch of 16 or more',
      f'use LayerNorm or GroupNorm in place of `{moments.name}`: they do not '
      'need a batch',
      'where only one example is at hand, use the running averages',
    )
  else:
    evidence = (
      f'{share} of its units have the same value in all {count} places that it '
      'takes their variance over: that is 0'
    )
    remedies = (
      f'look at what enters `{moments.name}`: the examples of the batch do not '
      'differ there',
      'shuffle the data: this batch may be copies of one example',
    )
  at = path.first_named(examination, moments.name)
  return Suspicion(
    'batch_norm_degenerate', moments.name, evidence, remedies, at
  )


def shape_broadcast(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects a loss of all predictions against all labels.

  Args:
    examination: what was measured.
    thresholds: none is used.
  """
  del thresholds
  return [
    Suspicion(
      'shape_broadcast',
      found.source or found.path or '(loss)',
      f'`{found.primitive}` of shapes [{found.size}, 1] and [{found.size}] '
      f'makes [{found.size}, {found.size}]: each prediction meets '
      'the labels of all examples',
      (
        'give both the same shape: `prediction[:, 0]`, or `labels[:, None]`',
        'check it: `chex.assert_equal_shape([prediction, labels])`',
      ),
    )
    for found in examination.broadcasts
  ]
