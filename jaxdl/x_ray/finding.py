"""What a diagnosis consists of."""

from typing import NamedTuple


class Finding(NamedTuple):
  """One thing that is wrong with a model, or with how it is trained.

  Attributes:
    verdict: its name: 'vanishing', 'dead', 'disconnected', ...
    where: the module or parameter in which it starts.
    evidence: the numbers that it was found by, in words.
    remedies: what to try, in this order; each a concrete change.
  """

  verdict: str
  where: str
  evidence: str
  remedies: tuple[str, ...]
