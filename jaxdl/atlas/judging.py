"""From what was measured to a verdict, by the rule of the claim alone."""

from collections.abc import Mapping, Sequence
import enum
from typing import NamedTuple

from jaxdl.atlas import intervals
from jaxdl.atlas.claims import Claim
import numpy as np

# The interval holds the bound: more seeds would tell.
_UNDECIDED = 'the seeds differ'


class Verdict(enum.StrEnum):
  """What the measurement says of a claim, or of a fact."""

  CONFIRMED = 'confirmed'
  REFUTED = 'refuted'
  DEPENDS = 'depends'


class Condition(NamedTuple):
  """A claim under one condition.

  Attributes:
    interval: of the quantity over seeds.
    agreeing: share of the samples that bear the claim out, an effect size that
      needs no unit.
    verdict: confirmed if the whole interval bears the claim out, refuted if
      none of it does, or if one sample does not where every one must;
      otherwise it depends on the seed.
  """

  interval: intervals.Interval
  agreeing: float
  verdict: Verdict


class Judgement(NamedTuple):
  """A claim and what was found.

  Attributes:
    claim: what was claimed.
    conditions: what was found, by condition.
    verdict: confirmed or refuted if all conditions are; otherwise it depends.
    on: on what it depends; empty if it does not.
  """

  claim: Claim
  conditions: Mapping[str, Condition]
  verdict: Verdict
  on: str


def judge(claim: Claim) -> Judgement:
  """Holds what was measured against the rule.

  Args:
    claim: the claim.

  Raises:
    ValueError: no condition, or samples that have no interval; says of which
      claim.
  """
  if not claim.measured:
    raise ValueError(f'nothing was measured for: {claim.statement}')
  conditions = {
    name: _judge(name, samples, claim)
    for name, samples in claim.measured.items()
  }
  verdict = _common([condition.verdict for condition in conditions.values()])
  on = _on(conditions) if verdict is Verdict.DEPENDS else ''
  return Judgement(claim, conditions, verdict, on)


def of_fact(judgements: Sequence[Judgement]) -> tuple[Verdict, str]:
  """Returns the verdict on a fact, and on what it depends.

  Args:
    judgements: of its claims.
  """
  verdict = _common([judgement.verdict for judgement in judgements])
  if verdict is not Verdict.DEPENDS:
    return verdict, ''
  parts = []
  for kind in Verdict:
    number = sum(judgement.verdict is kind for judgement in judgements)
    if number:
      parts.append(f'{number} {_word(kind, number)}')
  return verdict, f'of {len(judgements)} claims ' + ', '.join(parts)


def _judge(name: str, samples: np.ndarray, claim: Claim) -> Condition:
  values, rule = np.asarray(samples, np.float64), claim.rule
  try:
    of = intervals.of_all if claim.every else intervals.of_median
    interval = of(values)
  except ValueError as error:
    under = f', {name}' if name else ''
    raise ValueError(f'{claim.statement}{under}: {error}') from error
  agreeing = np.mean((values >= rule.low) & (values <= rule.high))
  if rule.low <= interval.low and interval.high <= rule.high:
    verdict = Verdict.CONFIRMED
  elif claim.every or interval.high < rule.low or rule.high < interval.low:
    verdict = Verdict.REFUTED
  else:
    verdict = Verdict.DEPENDS
  return Condition(interval, float(agreeing), verdict)


def _common(verdicts: Sequence[Verdict]) -> Verdict:
  return verdicts[0] if len(set(verdicts)) == 1 else Verdict.DEPENDS


def _on(conditions: Mapping[str, Condition]) -> str:
  """Says which conditions bear a claim out, which do not, which may."""
  if len(conditions) == 1:
    return _UNDECIDED
  words = {
    Verdict.CONFIRMED: 'holds for',
    Verdict.REFUTED: 'not for',
    Verdict.DEPENDS: f'{_UNDECIDED} for',
  }
  found = {
    kind: [name for name, c in conditions.items() if c.verdict is kind]
    for kind in words
  }
  return '; '.join(
    f'{words[kind]} {" · ".join(names)}'
    for kind, names in found.items()
    if names
  )


def _word(kind: Verdict, number: int) -> str:
  if kind is Verdict.DEPENDS:
    return 'depends' if number == 1 else 'depend'
  return str(kind)
