"""Cures, tried: the first steps again, with one change at a time.

All changes start from the same parameters and see the same batches and keys, so
what differs is what the change did. Changes enter one compiled program as
numbers; only another optimizer needs another program.

What is compared is the gradient's profile over the depth and the loss:

- `decades`: log10 of the Euclidean norm of the loss's derivative at the first
  cut row over that at the last (rows through which all that comes before acts
  on the loss; see `examination.Row`). Negative where the gradient vanishes on
  its way back, positive where it explodes.
- the loss of the first batch, before the first step and after the last.
"""

from collections.abc import Callable, Iterable, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.x_ray import changes as changes_lib
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import kernels as kernels_lib
from jaxdl.x_ray import steps as steps_lib
import optax

_LEARNING_RATE = 0.1  # Of gradient descent, where no optimizer is given.
_HEALTHY = 'healthy'
_FREE_DECADES = 1.0  # Lost or won over the depth without harm.
_MOST_DECADES = 40.0  # What counts for a gradient of zero, infinity or NaN.
_HELPS = 0.1  # The least score of a change that helps.
_GROWS = 0.1  # A loss that ends so much above its start has grown.


class Trial(NamedTuple):
  """What one change did.

  Attributes:
    change: in words.
    decades_before: of the gradient over the depth, before the first step.
    decades_after: after the last.
    loss_before: of the first batch, before the first step.
    loss_after: after the last.
    verdict: what ails the model after the last step; 'healthy' if nothing.
    score: how much better than no change, see `score`.
    helps: whether that is measurable, and the loss did not grow.
  """

  change: str
  decades_before: float
  decades_after: float
  loss_before: float
  loss_after: float
  verdict: str
  score: float
  helps: bool


class Cures:
  """The changes that were tried, best first; it prints as a table.

  Attributes:
    trials: best first, 'no change' among them.
    steps: how many each was trained for.
  """

  def __init__(self, trials: Sequence[Trial], steps: int):
    self.trials = tuple(trials)
    self.steps = steps

  @property
  def best(self) -> Trial | None:
    """The change that helps most; None if none does."""
    return self.trials[0] if self.trials[0].helps else None

  def __str__(self) -> str:
    if self.best is None:
      summary = 'none helps'
    else:
      helpful = sum(trial.helps for trial in self.trials)
      summary = f'{helpful} of {len(self.trials) - 1} help, best first'
    header = ('', 'change', 'decades', '', 'loss', '', 'verdict after')
    rows = [
      (
        '+' if trial.helps else '',
        trial.change,
        f'{trial.decades_before:+.1f}',
        f'-> {trial.decades_after:+.1f}',
        f'{trial.loss_before:.3g}',
        f'-> {trial.loss_after:.3g}',
        trial.verdict,
      )
      for trial in self.trials
    ]
    widths = [
      max(map(len, column)) for column in zip(header, *rows, strict=True)
    ]
    lines = [
      '  '.join(map(str.ljust, row, widths)).rstrip() for row in (header, *rows)
    ]
    return '\n'.join([f'After {self.steps} steps: {summary}.', *lines])

  def __repr__(self) -> str:
    return f'<Cures: {len(self.trials) - 1} changes tried>'


def try_cures(
  subject: examination_lib.Subject,
  optimizer: optax.GradientTransformation | None = None,
  steps: int = 20,
  batches: Iterable[tuple[Any, ...]] | None = None,
) -> Cures:
  """Trains for some steps without a change, and with each of several.

  Keys and the arrays of the model that are not trained (running means) are the
  same at each step. Beside the model, the parameters, gradients and state of
  one training lie in memory.

  Args:
    subject: what `examination.subject` returned.
    optimizer: gradient descent with learning rate 0.1 by default.
    steps: how many, for each change.
    batches: what comes after the model in the loss's arguments, a tuple for
      each step, gone through again when they end; by default what was examined,
      at each step.

  Raises:
    ValueError: if there is no step, or a batch is not like the one examined.
  """
  if steps < 1:
    raise ValueError(f'steps is {steps}; give 1 or more')
  optimizer = optimizer or optax.sgd(_LEARNING_RATE)
  stacked = steps_lib.stacked(subject.args, batches)
  params = subject.adapted.params
  found = kernels_lib.find(subject.traced.graph, len(params))
  first = len(params) + len(subject.adapted.rest)
  is_half = _has_halves(subject.traced.graph)
  situation = changes_lib.Situation(
    params,
    found._replace(fed=frozenset(i - first for i in found.fed if i >= first)),
    stacked,
    optimizer,
    is_half,
    frozenset(site.activation for site in subject.traced.sites),
  )
  scaled = _with_loss_scale(subject) if is_half else subject
  read = examination_lib.reader(scaled)
  programs: dict[Any, Callable[..., Any]] = {}
  outcomes = []
  for change in changes_lib.of(situation):
    if change.optimizer not in programs:
      programs[change.optimizer] = jax.jit(
        _trained(scaled, change.optimizer or optimizer, is_half)
      )
    program = programs[change.optimizer]
    begun = change.initial(params)
    before, after = (
      read(
        jax.device_get(
          program(begun, subject.adapted.rest, stacked, change.setting, n)
        )
      )
      for n in (0, steps)
    )
    outcomes.append(_trial(change, before, after))
  return Cures(_ranked(outcomes), steps)


def score(trial: Trial, unchanged: Trial) -> float:
  """How much better a change does than none; 0 is as good, 2 a lot.

  The sum of two parts, each of which is 0 for no change. Of the loss: how far
  it ends below the loss that training began with without a change, as a share
  of that, within 1 up and 1 down. Of the gradient: how many of the decades over
  the depth are gone, as a share of them; one decade is free.

  Args:
    trial: of a change.
    unchanged: of none.
  """
  start = unchanged.loss_before
  fall = _fall(start, trial.loss_after) - _fall(start, unchanged.loss_after)
  excess, old = _excess(trial.decades_after), _excess(unchanged.decades_after)
  return fall + (old - excess) / max(old, excess, 1.0)


def decades(rows: Sequence[examination_lib.Row]) -> float:
  """log10 of the gradient's norm at the first cut row over that at the last.

  Args:
    rows: of an examination.

  Returns:
    The number of decades; NaN where there are fewer than two cut rows, or no
    gradient at all.
  """
  cuts = [row for row in rows if row.is_cut]
  if len(cuts) < 2:
    return math.nan
  ends = [
    _log10(float(row.backward.rms)) + math.log10(math.prod(row.shape)) / 2
    for row in (cuts[0], cuts[-1])
  ]
  return ends[0] - ends[1]


def _log10(x: float) -> float:
  return math.log10(x) if x > 0 else (-math.inf if x == 0 else math.nan)


def _fall(start: float, end: float) -> float:
  if not math.isfinite(end):
    return -1.0
  if not math.isfinite(start):
    return 1.0
  return max(-1.0, min(1.0, (start - end) / max(abs(start), 1e-30)))


def _excess(decades: float) -> float:
  distance = abs(decades) if math.isfinite(decades) else _MOST_DECADES
  return max(min(distance, _MOST_DECADES) - _FREE_DECADES, 0.0)


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
  unchanged = trials[0]

  def scored(trial):
    worth = score(trial, unchanged)
    grows = _fall(unchanged.loss_before, trial.loss_after) < -_GROWS
    return trial._replace(score=worth, helps=worth >= _HELPS and not grows)

  return sorted(
    map(scored, trials), key=lambda t: (t.helps, t.score), reverse=True
  )


def _trial(
  change: changes_lib.Change,
  before: examination_lib.Examination,
  after: examination_lib.Examination,
) -> Trial:
  findings = diagnosis.diagnose(after)
  scale = change.setting.loss_scale
  return Trial(
    change.name,
    decades(before.rows),
    decades(after.rows),
    before.loss / scale,
    after.loss / scale,
    findings[0].verdict if findings else _HEALTHY,
    score=0.0,
    helps=False,
  )


def _trained(
  subject: examination_lib.Subject,
  optimizer: optax.GradientTransformation,
  is_half: bool,
) -> Callable[..., examination_lib.Measured]:
  """What trains for some steps and measures the model that comes of it."""

  def trained(params, rest, stacked, setting, num_steps):
    changed = changes_lib.optimizer(optimizer, setting)

    def arrays(step):
      batch = [x[step % len(x)] for x in stacked]
      batch = list(map(_moved, batch, setting.shift, setting.scale))
      scale = [jnp.float32(setting.loss_scale)] if is_half else []
      return [*rest, *scale, *batch]

    params, state = steps_lib.train(subject, changed, params, arrays, num_steps)
    measure = examination_lib.measuring(subject, changed)
    return measure(params, arrays(0), state)

  return trained


def _moved(x: jax.Array, shift: jax.Array, scale: jax.Array) -> jax.Array:
  if not jnp.issubdtype(x.dtype, jnp.floating):
    return x
  return ((x - shift) * scale).astype(x.dtype)


def _with_loss_scale(
  subject: examination_lib.Subject,
) -> examination_lib.Subject:
  """The same loss times a number, which comes last in what is not trained."""
  adapted = subject.adapted

  def loss(params, rest, *args):
    *rest, scale = rest
    result = adapted.loss(params, tuple(rest), *args)
    value, aux = result if subject.has_aux else (result, None)
    value = value.astype(jnp.promote_types(value.dtype, jnp.float32)) * scale
    return (value, aux) if subject.has_aux else value

  rest = (*adapted.rest, jnp.ones([], jnp.float32))
  return examination_lib.subject_of(
    adapted._replace(rest=rest, loss=loss), subject.args, subject.has_aux
  )


def _has_halves(graph: jaxpr.Graph) -> bool:
  """Whether numbers of 16 bits occur in a graph."""
  halves = (jnp.float16, jnp.bfloat16)
  return any(
    getattr(aval, 'dtype', None) in halves for aval in graph.avals.values()
  ) or any(
    _has_halves(body)
    for operation in graph.operations
    for body in operation.bodies
  )
