"""Which parameters each measured value is made with."""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any

from jaxdl.tracing import sites

# Of scopes: the positions of the parameters used there, each with the key of
# the value that its first use makes.
Uses = Mapping[Any, Mapping[int, int]]


def of_site(site: sites.Site, uses: Uses) -> tuple[int, ...]:
  """Parameters used in the scopes that a value leaves, not below them.

  Args:
    site: where the value is made.
    uses: as `tracing.parameters.first_uses` returns them.
  """
  found = (uses.get(_path(path), ()) for path in site.paths)
  return tuple(dict.fromkeys(itertools.chain(*found)))


def before_activations(
  found: Sequence[sites.Site], uses: Uses
) -> dict[int, tuple[int, ...]]:
  """Parameters used before an activation function that is a scope by itself.

  A loop over layers within one module has one activation function for each, and
  all parameters in the module's own scope.

  Args:
    found: all sites, in order.
    uses: as `tracing.parameters.first_uses` returns them.

  Returns:
    By key of the value, the parameters that the scope around it uses before it
    and behind the activation function before that.
  """
  scopes = {_path(path) for site in found for path in site.paths}
  last: dict[Any, int] = {}  # The last value of an activation, by scope.
  before = {}
  for site in found:
    path = _path(site.paths[0])
    around = path[:-1]
    is_activation = path[-1].split('#')[0] == site.activation != ''
    if not is_activation or path in uses or around not in scopes:
      continue
    start = last.get(around, -1)
    used = uses.get(around, {}).items()
    before[site.key] = tuple(i for i, key in used if start < key <= site.key)
    last[around] = site.key
  return before


def _path(scope: str) -> tuple[str, ...]:
  return tuple(scope.split('/'))
