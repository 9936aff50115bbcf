"""What is read in the graph of a loss, and measured for it beside the rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxdl.tracing import probing
from jaxdl.tracing import sites
from jaxdl.tracing import statistics
from jaxdl.tracing.jaxpr import Graph
from jaxdl.x_ray.inspection import broadcasting
from jaxdl.x_ray.inspection import connection
from jaxdl.x_ray.inspection import facts
from jaxdl.x_ray.inspection import first_layer
from jaxdl.x_ray.inspection import normalization
from jaxdl.x_ray.inspection import recurrence
from jaxdl.x_ray.inspection import representation


class Structure(NamedTuple):
  """What the graph of a loss tells.

  Attributes:
    obstacles: to the gradient of each parameter, see `connection.obstacles`.
    inputs: scopes of first layers, by key of the value that enters them.
    arguments: positions among the graph's inputs of those that are arguments.
    normalizations: those over the batch.
    broadcasts: vectors over the batch combined with columns.
    sites: of values that are measured and are no rows.
    gated: scans over time that keep their state by a gate, by key.
  """

  obstacles: tuple[str, ...]
  inputs: dict[int, str]
  arguments: dict[int, int]
  normalizations: tuple[normalization.Normalization, ...]
  broadcasts: tuple[broadcasting.Broadcast, ...]
  sites: tuple[sites.Site, ...]
  gated: frozenset[int]


def structure(
  traced: probing.Traced, num_parameters: int, num_rest: int
) -> Structure:
  """Reads a graph.

  Args:
    traced: a loss, whose first inputs are the parameters, then other arrays of
      the model, then the data.
    num_parameters: how many there are of the first.
    num_rest: and of the second.
  """
  graph = traced.graph
  makers = facts.Makers(graph)
  origin = first_layer.origins(graph, num_parameters, num_rest)
  inputs = first_layer.inputs(graph, makers, origin)
  normalizations = normalization.find(graph, makers, origin)
  known = {site.key for site in traced.sites}
  keys = {*inputs, *(n.key for n in normalizations)} - known
  return Structure(
    connection.obstacles(graph, num_parameters),
    inputs,
    {
      key: graph.inputs.index(key)
      for key in inputs
      if key in graph.inputs and _is_measurable(graph.avals[key])
    },
    normalizations,
    broadcasting.find(graph, makers, origin),
    _sites(graph, keys),
    recurrence.gated(graph, origin),
  )


def _sites(graph: Graph, keys: set[int]) -> tuple[sites.Site, ...]:
  """Places to measure at, named by their keys: no scope is called so."""
  found = []
  for place in facts.places(graph):
    for key in place.operation.outputs:
      aval = place.graph.avals[key]
      if key in keys and _is_measurable(aval):
        path = (f'?{key}',)
        found.append(
          sites.Site(
            key,
            path,
            aval.shape,
            aval.dtype,
            place.scans,
            is_cut=False,
            activation='',
            source='',
          )
        )
  return tuple(found)


def _is_measurable(aval: Any) -> bool:
  return jnp.issubdtype(aval.dtype, jnp.number) and aval.size > 0


def taps(
  found: Sequence[sites.Site], read: Structure
) -> Mapping[str, probing.Taps]:
  """One measurement a value, in the innermost scope that it leaves.

  Args:
    found: the rows' sites and those of the structure.
    read: what `structure` returned.

  Returns:
    Taps that measure forward a dictionary: `value`, the statistics; of rows
    `representation`; where a batch is normalized `constant`, the share of its
    units that do not vary.
  """
  axes = {n.key: n.axes for n in read.normalizations}
  beside = {site.key for site in read.sites}

  def tap(site: sites.Site) -> probing.Taps:
    full = probing.full(site)
    assert full.forward is not None
    measures: dict[str, statistics.Measure] = {'value': full.forward}
    if site.key in axes:
      measures['constant'] = normalization.measure(axes[site.key])
    if site.key in beside:
      return probing.Taps(representation.together(measures), None)
    measures['representation'] = representation.measure(site)
    return probing.Taps(representation.together(measures), full.backward)

  return {site.paths[0]: tap(site) for site in found}


def signal(
  profile: Mapping[str, probing.Signal],
  found: Sequence[sites.Site],
  key: int,
) -> Any:
  """What was measured of a value forward; None if it was not.

  Args:
    profile: what was measured.
    found: the sites of rows and of the structure.
    key: of the value.
  """
  for site in found:
    if site.key == key:
      return profile[site.paths[0]].forward
  return None
