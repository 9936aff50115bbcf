"""What a rule hands to the judgement."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.x_ray import finding
from jaxdl.x_ray.diagnosis import words


class Suspicion(NamedTuple):
  """A finding before it is known whether another one explains it.

  Attributes:
    verdict: as in `Finding`.
    where: as in `Finding`.
    evidence: as in `Finding`.
    remedies: as in `Finding`.
    at: the position among the rows at which it starts; -1 before all of them.
    stands_alone: whether it neither explains others nor is explained by them:
      it was read in the graph.
  """

  verdict: str
  where: str
  evidence: str
  remedies: tuple[str, ...]
  at: int = -1
  stands_alone: bool = False

  def finding(self, symptoms: Sequence['Suspicion'] = ()) -> finding.Finding:
    """The finding, with what it explains as further evidence.

    Args:
      symptoms: suspicions that need no remedy of their own.
    """
    evidence = self.evidence
    alike = [s.where for s in symptoms if s.verdict == self.verdict]
    if alike:
      evidence += f'; so it is at {words.listed(alike)}'
    others = {s.verdict: s for s in reversed(symptoms)}
    others.pop(self.verdict, None)
    if others:
      told = '; '.join(
        f'{s.verdict} at `{s.where}`: {s.evidence}'
        for s in reversed(list(others.values()))
      )
      evidence += f'. It explains: {told}'
    return finding.Finding(self.verdict, self.where, evidence, self.remedies)
