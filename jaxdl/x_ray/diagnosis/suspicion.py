"""What a rule hands to the judgement."""

from typing import NamedTuple

from jaxdl.x_ray import finding


class Suspicion(NamedTuple):
  """A finding before it is known whether another one explains it.

  Attributes:
    verdict: as in `Finding`.
    where: as in `Finding`.
    evidence: as in `Finding`.
    remedies: as in `Finding`.
    at: the position among the rows at which it starts; -1 before all of them.
  """

  verdict: str
  where: str
  evidence: str
  remedies: tuple[str, ...]
  at: int = -1

  def finding(self, symptoms: tuple['Suspicion', ...] = ()) -> finding.Finding:
    """The finding, with what it explains as further evidence.

    Args:
      symptoms: suspicions that need no remedy of their own.
    """
    evidence = self.evidence
    if symptoms:
      told = '; '.join(
        f'{s.verdict} at `{s.where}`: {s.evidence}' for s in symptoms
      )
      evidence += f'. It explains: {told}'
    return finding.Finding(self.verdict, self.where, evidence, self.remedies)
