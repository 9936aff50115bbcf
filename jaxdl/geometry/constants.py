"""Values of a graph that depend on none of its inputs, such as indices."""

from typing import Any

import jax
from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
import numpy as np

_MAX_SIZE = 1_000_000


class Known:
  """Computes, where asked, what does not depend on the inputs of a graph."""

  def __init__(self, graph: Graph):
    self._graph = graph
    self._producers: dict[int, jaxpr.Operation] | None = None

  def value(self, atom: Any) -> np.ndarray | None:
    """Returns the value of a key of the graph, or of a literal.

    None if it depends on an input of the graph, or is too large to compute.
    """
    if not isinstance(atom, int):
      return np.asarray(atom.val)
    if atom in self._graph.constants:
      constant = self._graph.constants[atom]
      return None if isinstance(constant, jax.core.Tracer) else constant
    if self._producers is None:
      self._producers = {
        key: operation
        for operation in self._graph.operations
        for key in operation.outputs
      }
    if atom not in self._producers:
      return None
    return self._computed(self._producers[atom], atom)

  def _computed(self, operation: jaxpr.Operation, key: int) -> Any:
    if any(self._graph.avals[k].size > _MAX_SIZE for k in operation.outputs):
      return None
    values = [self.value(atom) for atom in operation.inputs]
    if any(value is None for value in values):
      return None
    with jax.ensure_compile_time_eval():
      results = jaxpr.bind(operation, values)
    return np.asarray(results[operation.outputs.index(key)])
