"""Judgement: suspicions put in order, symptoms folded into their causes."""

from collections.abc import Callable, Sequence

from jaxdl.x_ray.diagnosis import activity
from jaxdl.x_ray.diagnosis import batch
from jaxdl.x_ray.diagnosis import connection
from jaxdl.x_ray.diagnosis import finiteness
from jaxdl.x_ray.diagnosis import flow
from jaxdl.x_ray.diagnosis import initialization
from jaxdl.x_ray.diagnosis import precision
from jaxdl.x_ray.diagnosis import update
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.finding import Finding
from jaxdl.x_ray.results import Examination

# From causes to symptoms: the order in which findings are told.
VERDICTS = (
  'shape_broadcast',
  'input_scale',
  'symmetric',
  'batch_norm_degenerate',
  'dead',
  'saturated',
  'exploding',
  'nonfinite',
  'underflow',
  'disconnected',
  'vanishing',
  'rank_collapse',
  'diverging_update',
)

# What each verdict leaves behind it, none of which needs a remedy of its own:
# in the rows behind the place where it starts, and before it or anywhere.
_BEHIND: dict[str, tuple[str, ...]] = {
  'symmetric': ('dead', 'saturated', 'batch_norm_degenerate', 'rank_collapse'),
  'batch_norm_degenerate': ('dead', 'symmetric', 'rank_collapse'),
  'dead': ('symmetric', 'batch_norm_degenerate'),
}
_ANYWHERE: dict[str, tuple[str, ...]] = {
  'input_scale': (
    'saturated',
    'nonfinite',
    'rank_collapse',
    'diverging_update',
  ),
  'symmetric': ('disconnected', 'vanishing', 'exploding'),
  'batch_norm_degenerate': ('disconnected', 'vanishing', 'exploding'),
  'dead': ('disconnected', 'vanishing', 'exploding', 'rank_collapse'),
  'saturated': ('vanishing', 'exploding', 'disconnected', 'rank_collapse'),
  'exploding': ('nonfinite', 'diverging_update'),
  'nonfinite': ('underflow', 'disconnected', 'diverging_update'),
  'underflow': ('disconnected', 'vanishing'),
  'disconnected': ('rank_collapse',),
  'vanishing': ('rank_collapse', 'underflow'),
}

_RULES: tuple[Callable[[Examination, Thresholds], list[Suspicion]], ...] = (
  batch.shape_broadcast,
  batch.input_scale,
  batch.batch_norm,
  initialization.symmetric,
  initialization.rank_collapse,
  activity.dead,
  activity.saturated,
  flow.rule,
  finiteness.rule,
  precision.rule,
  connection.rule,
  update.rule,
)

_DEFAULT = Thresholds()


def diagnose(
  examination: Examination, thresholds: Thresholds = _DEFAULT
) -> tuple[Finding, ...]:
  """Says what is wrong with a model, causes first.

  Args:
    examination: what was measured.
    thresholds: where one verdict ends and the next begins.

  Returns:
    The findings; none if the model is healthy. What another finding explains is
    told as evidence for that one, and not as one of its own.
  """
  return fold([s for rule in _RULES for s in rule(examination, thresholds)])


def fold(suspicions: Sequence[Suspicion]) -> tuple[Finding, ...]:
  """Puts suspicions in order, each symptom into the evidence of its cause.

  Args:
    suspicions: in any order.
  """
  order = lambda s: (VERDICTS.index(s.verdict), s.at)
  suspicions = sorted(suspicions, key=order)
  cause = [_cause(i, suspicions) for i in range(len(suspicions))]
  return tuple(
    suspicion.finding([s for j, s in enumerate(suspicions) if cause[j] == i])
    for i, suspicion in enumerate(suspicions)
    if cause[i] is None
  )


def _cause(index: int, suspicions: Sequence[Suspicion]) -> int | None:
  """The one that explains a suspicion, and that nothing explains itself."""
  for i in range(len(suspicions)):
    if _explains(i, index, suspicions):
      above = _cause(i, suspicions)
      return i if above is None else above
  return None


def _explains(a: int, b: int, suspicions: Sequence[Suspicion]) -> bool:
  """Whether suspicion `a` explains `b`; they are in the order of `VERDICTS`."""
  first, second = suspicions[a], suspicions[b]
  if first.stands_alone or second.stands_alone:
    return False
  if first.verdict == second.verdict:
    return a < b
  if second.verdict in _BEHIND.get(first.verdict, ()):
    return (first.at, a) < (second.at, b)
  if second.verdict not in _ANYWHERE.get(first.verdict, ()):
    return False
  # Of two that may each explain the other, the first in order does.
  return a < b or first.verdict not in _ANYWHERE.get(second.verdict, ())
