"""The watch: an X-ray of every so many steps of a training loop.

  watch = jaxdl.watch(loss_fn, model, *batch, log_dir='logs')
  for step, batch in enumerate(batches):
    watch(step, model, *batch)
    model = train(model, *batch)

It compiles once, measures a step in so many by a pass of its own, and leaves
the loop as it is: it returns what it measured and changes nothing. What goes
wrong with the watch itself ends the watch, by a warning, and not the training.
"""

from collections.abc import Callable, Sequence
import operator
import os
from typing import Any, Protocol
import warnings
import weakref

import jax
from jaxdl.x_ray import adapters
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import event_files
from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import optimizer_state
from jaxdl.x_ray import recording
import numpy as np
import optax

# Batches in a row that are not like the first, after which the watch ends; one
# may be the rest of an epoch.
_MOST_OTHERS = 10


class TrainingWarning(UserWarning):
  """Something is wrong with a model, or with how it is trained."""


class WatchWarning(UserWarning):
  """The watch can't go on, or can't write; training does."""


class _Sink(Protocol):
  """What takes measurements."""

  def append(
    self,
    step: int,
    examination: examination_lib.Examination,
    findings: Sequence[finding_lib.Finding],
  ) -> None: ...

  def flush(self) -> None: ...

  def close(self) -> None: ...


def watch(
  loss_fn: Callable[..., Any],
  model: Any,
  *args: Any,
  every: int = 100,
  log_dir: str | os.PathLike[str] | None = None,
  record: str | os.PathLike[str] | None = None,
  optimizer: optax.GradientTransformation | None = None,
  has_aux: bool = False,
) -> 'Watch':
  """Makes a watch of a training loop.

  Args:
    loss_fn: maps `(model, *args)` to a scalar, or to `(scalar, aux)` if
      `has_aux`; as `jaxdl.xray` takes it.
    model: as `jaxdl.xray` takes it. What of it is no array (whether it is in
      training mode) is taken as it is here.
    *args: further arguments of the loss, in the shapes of all batches.
    every: steps from one measurement to the next.
    log_dir: a folder for TensorBoard's event files; needs tensorboardX.
    record: a folder for a record in zarr, which `xarray.open_zarr` reads: one
      that is there already goes on, if it is of the same model.
    optimizer: whose updates are measured; give its state to each call.
    has_aux: whether the loss returns auxiliary data.

  Returns:
    The watch. Call it in the loop; it is a context manager too, and closes at
    the end of the process by itself.

  Raises:
    TypeError: if the loss is no real scalar, the model has no parameters, or
      the optimizer is none of optax.
    ValueError: if a number is out of range, or a folder can't be written to.
  """
  if operator.index(every) < 1:
    raise ValueError(f'every is {every}; give 1 step or more')
  optimizer_state.check(optimizer)
  subject = examination_lib.subject(loss_fn, model, args, has_aux)
  sinks: list[_Sink] = []
  if jax.process_index() == 0:  # All measure the same.
    example = _example(subject)
    if record is not None:
      sinks.append(recording.Record(os.fspath(record), example))
    if log_dir is not None:
      sinks.append(event_files.EventFile(os.fspath(log_dir)))
  return Watch(loss_fn, _without_arrays(subject), every, optimizer, sinks)


class Watch:
  """Call it at each step; see `watch`.

  Attributes:
    is_active: whether it goes on measuring.
  """

  def __init__(
    self,
    loss_fn: Callable[..., Any],
    subject: examination_lib.Subject,
    every: int,
    optimizer: optax.GradientTransformation | None,
    sinks: list[_Sink],
  ):
    self.is_active = True
    self._loss_fn = loss_fn
    self._subject = subject
    self._every = every
    self._optimizer = optimizer
    self._program = jax.jit(examination_lib.measuring(subject, optimizer))
    self._read = examination_lib.reader(subject)
    self._sinks = sinks
    self._others = 0  # Batches that were due and not like the first.
    self._last_step: int | None = None
    self._said: set[str] = set()  # Of what has been warned.
    self._finalizer = weakref.finalize(self, _close, sinks)

  def __call__(
    self, step: int, model: Any, *args: Any, opt_state: Any = None
  ) -> examination_lib.Examination | None:
    """Measures, if a measurement is due.

    Args:
      step: number of the steps before it, since the beginning of the training.
      model: as it is before the step.
      *args: further arguments of the loss: the step's batch.
      opt_state: the state of the optimizer before the step; that of a first
        step by default.

    Returns:
      What was measured, or None.
    """
    step = operator.index(step)
    if not self.is_active or (step % self._every and not self._others):
      return None
    try:
      measured = self._measure(model, args, opt_state)
      findings = diagnosis.diagnose(measured) if measured else ()
    except Exception as error:  # Whatever it is, training goes on.
      self._end(f'{type(error).__name__}: {error}')
      return None
    if measured is None:
      return None
    self._check_order(step)
    self._hand_on(lambda sink: sink.append(step, measured, findings))
    self._announce(step, findings)
    return measured

  def flush(self) -> None:
    """Writes what is not written yet."""
    self._hand_on(lambda sink: sink.flush())

  def close(self) -> None:
    """Writes what is not written yet, and ends the watch."""
    self._hand_on(lambda sink: sink.close())
    self._sinks.clear()
    self.is_active = False

  def __enter__(self) -> 'Watch':
    return self

  def __exit__(self, *_: Any) -> None:
    self.close()

  def _measure(
    self, model: Any, args: tuple[Any, ...], opt_state: Any
  ) -> examination_lib.Examination | None:
    """Runs the program, if the model and the batch are like the first."""
    adapted = adapters.adapt(self._loss_fn, model)
    subject = self._subject
    first = (subject.adapted.params, subject.adapted.rest, subject.args)
    difference = _difference(first, (adapted.params, adapted.rest, args))
    if difference:
      self._others += 1
      if self._others == _MOST_OTHERS:
        self._end(f'{difference}; make a watch of what the loop trains on')
      return None
    self._others = 0
    state = None
    if self._optimizer is not None:
      state = optimizer_state.of(self._optimizer, opt_state, adapted.params)
    arrays = examination_lib.arrays(adapted, args)
    measured = self._program(adapted.params, arrays, state)
    return self._read(jax.device_get(measured))

  def _check_order(self, step: int) -> None:
    last, self._last_step = self._last_step, step
    if last is not None and step <= last:
      self._warn_once(
        'order',
        f'step {step} comes after step {last}; give the watch the number of '
        'steps since the beginning of the training',
        WatchWarning,
      )

  def _announce(
    self, step: int, findings: Sequence[finding_lib.Finding]
  ) -> None:
    for finding in findings:
      place = f' at `{finding.where}`' if finding.where else ''
      text = f'step {step}: {finding.verdict}{place}: {finding.evidence}'
      if finding.remedies:
        text += f'; try: {finding.remedies[0]}'
      self._warn_once(finding.verdict, text, TrainingWarning)

  def _hand_on(self, do: Callable[[_Sink], None]) -> None:
    """Lets each sink do something; one that fails gets no more."""
    for sink in list(self._sinks):
      try:
        do(sink)
      except Exception as error:  # Whatever it is, training goes on.
        self._sinks.remove(sink)
        self._warn_once(
          f'sink {type(sink).__name__}', _unwritten(error), WatchWarning
        )

  def _end(self, reason: str) -> None:
    self.is_active = False
    self._warn_once('end', f'the watch has ended: {reason}', WatchWarning)

  def _warn_once(self, key: str, text: str, category: type[Warning]) -> None:
    if key not in self._said:
      self._said.add(key)
      warnings.warn(text, category, stacklevel=_stack_level())


def _stack_level() -> int:
  """How many frames are between a warning and the line that called us."""
  import inspect

  frame, level = inspect.currentframe(), 0
  while frame is not None and frame.f_globals.get('__name__') == __name__:
    frame, level = frame.f_back, level + 1
  return level


def _unwritten(error: Exception) -> str:
  return f'the watch writes no more to it: {error}; training goes on'


def _close(sinks: list[_Sink]) -> None:
  """Closes what a watch has left open, at the end of the process."""
  for sink in sinks:
    try:
      sink.close()
    except OSError as error:
      warnings.warn(_unwritten(error), WatchWarning, stacklevel=2)


def _without_arrays(
  subject: examination_lib.Subject,
) -> examination_lib.Subject:
  """Lets the first model and batch go; only their shapes are kept."""
  adapted = subject.adapted
  return subject._replace(
    adapted=adapted._replace(
      params=_shapes(adapted.params), rest=_shapes(adapted.rest)
    ),
    args=_shapes(subject.args),
  )


def _shapes(tree: Any) -> Any:
  return jax.tree.map(
    lambda x: (
      jax.ShapeDtypeStruct(x.shape, x.dtype) if hasattr(x, 'dtype') else x
    ),
    tree,
  )


def _example(
  subject: examination_lib.Subject,
) -> examination_lib.Examination:
  """An examination with the right names; its numbers mean nothing."""
  shapes = jax.eval_shape(
    examination_lib.measuring(subject),
    subject.adapted.params,
    examination_lib.arrays(subject.adapted, subject.args),
  )
  ones = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
  return examination_lib.read(subject, ones)


def _difference(first: Any, given: Any) -> str:
  """What is unlike the first model and batch, in words; empty if nothing."""
  for name, old, new in zip(
    ('the model', 'the state of the model', 'the batch'),
    first,
    given,
    strict=True,
  ):
    there, here = map(str, map(jax.tree.structure, (old, new)))
    if there != here:
      return f'{name} is {here}, and was {there}'
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    for a, b in ((_kind(x), _kind(y)) for x, y in pairs):
      if a != b:
        return f'{name} has {b} where it had {a}'
  return ''


def _kind(x: Any) -> str:
  return f'{x.dtype}{list(x.shape)}' if hasattr(x, 'dtype') else repr(x)
