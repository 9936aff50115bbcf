"""Judgement: suspicions put in order, symptoms folded into their causes."""

from collections.abc import Callable, Sequence

from jaxdl.x_ray.diagnosis import activity
from jaxdl.x_ray.diagnosis import finiteness
from jaxdl.x_ray.diagnosis import flow
from jaxdl.x_ray.diagnosis import update
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.examination import Examination
from jaxdl.x_ray.finding import Finding

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

# What each verdict leaves behind it, none of which needs a remedy of its own.
_EXPLAINS: dict[str, tuple[str, ...]] = {
  'input_scale': ('saturated', 'diverging_update'),
  'symmetric': ('dead', 'disconnected', 'vanishing', 'rank_collapse'),
  'batch_norm_degenerate': (
    'dead',
    'exploding',
    'disconnected',
    'vanishing',
    'rank_collapse',
  ),
  'dead': ('disconnected', 'vanishing', 'rank_collapse'),
  'saturated': ('vanishing', 'disconnected', 'rank_collapse'),
  'exploding': ('nonfinite', 'diverging_update'),
  'nonfinite': ('underflow', 'disconnected', 'vanishing', 'diverging_update'),
  'underflow': ('disconnected', 'vanishing'),
  'vanishing': ('rank_collapse', 'underflow'),
}

_RULES: tuple[Callable[[Examination, Thresholds], list[Suspicion]], ...] = (
  activity.dead,
  activity.saturated,
  flow.rule,
  finiteness.rule,
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
  suspicions = [s for rule in _RULES for s in rule(examination, thresholds)]
  suspicions.sort(key=lambda s: (VERDICTS.index(s.verdict), s.at))
  causes: list[Suspicion] = []
  symptoms: dict[int, list[Suspicion]] = {}
  for suspicion in suspicions:
    cause = _cause(suspicion, causes)
    if cause is None:
      causes.append(suspicion)
    else:
      symptoms.setdefault(cause, []).append(suspicion)
  return tuple(
    cause.finding(tuple(symptoms.get(i, ()))) for i, cause in enumerate(causes)
  )


def _cause(suspicion: Suspicion, causes: Sequence[Suspicion]) -> int | None:
  """The first of the causes that explains a suspicion; they come in order."""
  for i, cause in enumerate(causes):
    is_same = cause.verdict == suspicion.verdict
    if is_same or suspicion.verdict in _EXPLAINS.get(cause.verdict, ()):
      return i
  return None
