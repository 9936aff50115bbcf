"""The Atlas: facts of the field, each with a measured verdict.

A `Fact` measures, states `Claim`s over what it measured, and draws. A `Rule`,
fixed before the measurement, says which values bear a claim out; `judge` holds
the interval over seeds against it.
"""

from jaxdl.atlas.claims import at_least
from jaxdl.atlas.claims import at_most
from jaxdl.atlas.claims import between
from jaxdl.atlas.claims import Claim
from jaxdl.atlas.claims import Rule
from jaxdl.atlas.facts import Fact
from jaxdl.atlas.intervals import MIN_SEEDS
from jaxdl.atlas.judging import judge
from jaxdl.atlas.judging import Judgement
from jaxdl.atlas.judging import of_fact
from jaxdl.atlas.judging import Verdict

__all__ = [
  'MIN_SEEDS',
  'Claim',
  'Fact',
  'Judgement',
  'Rule',
  'Verdict',
  'at_least',
  'at_most',
  'between',
  'judge',
  'of_fact',
]
