"""A fact: how it is measured, what it claims, how it is drawn."""

from collections.abc import Callable, Sequence
import re
from typing import NamedTuple

from jaxdl.atlas.claims import Claim
from matplotlib import figure as figure_lib
import xarray as xr


class Fact(NamedTuple):
  """A fact of the field as an experiment.

  Attributes:
    formulas: in the mathematics of TeX that matplotlib knows, without dollars.
    measure: maps the number of seeds, and sizes that have defaults, to what was
      measured.
    claims: what is claimed, of what `measure` returned; pure, so that a verdict
      can be drawn anew from the data.
    draw: the figure, of the same.
  """

  formulas: Sequence[str]
  measure: Callable[..., xr.Dataset]
  claims: Callable[[xr.Dataset], Sequence[Claim]]
  draw: Callable[[xr.Dataset], figure_lib.Figure]


class Statement(NamedTuple):
  """What the docstring of a fact says: its parts, one paragraph each.

  Attributes:
    title: the first line, without its full stop.
    claim, source, rule: the paragraphs that begin with these words.
  """

  title: str
  claim: str
  source: str
  rule: str


def statement(docstring: str) -> Statement:
  """Reads the docstring of a fact.

  Args:
    docstring: a title, and the paragraphs `Claim:`, `Source:` and `Rule:`.

  Raises:
    ValueError: a part is missing.
  """
  title, *paragraphs = re.split(r'\n\s*\n', docstring.strip())
  found = {}
  for paragraph in paragraphs:
    head, _, text = ' '.join(paragraph.split()).partition(': ')
    found[head.lower()] = text[:1].upper() + text[1:]
  missing = {'claim', 'source', 'rule'} - found.keys()
  if missing:
    raise ValueError(
      f'the docstring {title!r} has no paragraph that begins with '
      + ', '.join(f'{name.capitalize()}:' for name in sorted(missing))
    )
  parts = (found[name] for name in ('claim', 'source', 'rule'))
  return Statement(' '.join(title.split()).rstrip('.'), *parts)
