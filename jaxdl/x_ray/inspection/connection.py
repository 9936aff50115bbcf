"""Whether a gradient can reach a parameter at all, and what is in its way."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.x_ray.inspection import facts

# Steps, of which the derivative is zero everywhere.
_FLAT = frozenset(
  {'stop_gradient', 'floor', 'ceil', 'round', 'sign', 'is_finite'}
)
UNUSED = 'unused'


def obstacles(graph: Graph, num_parameters: int) -> tuple[str, ...]:
  """Says of each parameter what keeps the gradient from it.

  Args:
    graph: the flattened jaxpr of a loss, whose first inputs are the parameters.
    num_parameters: how many they are.

  Returns:
    For each of them, empty where the loss depends on it by operations that have
    a derivative; `unused` where it doesn't depend on it; else the operation at
    which the gradient stops, `stop_gradient (model.py:42 encode)`.
  """
  parameters = graph.inputs[:num_parameters]
  everyone = (1 << num_parameters) - 1
  stops: list[Operation] = []
  stopped: dict[int, tuple[int, int]] = {}  # By operation: its bit, and whom.

  def transfer(operation, graph, inputs):
    (reached,) = facts.united(inputs)
    live, results = reached & everyone, []
    for key in operation.outputs:
      if _has_derivative(operation, graph.avals[key]) or not live:
        results.append(reached)
        continue
      first = operation.outputs[0]
      bit, whom = stopped.get(first, (num_parameters + len(stops), 0))
      if first not in stopped:
        stops.append(operation)
      stopped[first] = (bit, whom | live)
      results.append((reached & ~everyone) | 1 << bit)
    return results

  given = {key: 1 << i for i, key in enumerate(parameters)}
  found = facts.flow(graph, given, transfer)
  loss = graph.outputs[0]
  reached = found.get(loss, 0) if isinstance(loss, int) else 0
  return tuple(
    ''
    if reached >> i & 1
    else _obstacle(i, reached, list(stopped.values()), stops, num_parameters)
    for i in range(num_parameters)
  )


def _obstacle(
  parameter: int,
  reached: int,
  stopped: Sequence[tuple[int, int]],
  stops: Sequence[Operation],
  num_parameters: int,
) -> str:
  """The operation nearest the loss at which this parameter's gradient stops."""
  at = [
    bit for bit, whom in stopped if reached >> bit & 1 and whom >> parameter & 1
  ]
  if not at:
    return UNUSED
  operation = stops[max(at) - num_parameters]
  source = f' ({operation.source})' if operation.source else ''
  return f'{operation.primitive.name}{source}'


def _has_derivative(operation: Operation, aval) -> bool:
  is_real = hasattr(aval, 'dtype') and jnp.issubdtype(aval.dtype, jnp.inexact)
  return is_real and operation.primitive.name not in _FLAT
