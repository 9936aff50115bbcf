"""Recurrences over time that keep their state by a gate."""

from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.x_ray.inspection import facts

# What brings a state to the next step as it is, or a share of it.
_CARRYING = frozenset(
  {'add', 'sub', 'mul', 'neg', 'select_n', 'convert_element_type', 'copy'}
)
_PARAMETER = 1


def gated(graph: Graph, origin: dict[int, int]) -> frozenset[int]:
  """Finds the scans over time that multiply their state with a gate.

  Each step of a GRU keeps a share of its state (Cho et al., 2014), which is
  learned: what it forgets is no fault, and as all steps share their kernels,
  those get their gradient from the last ones. A scan over layers, whose kernels
  differ from one iteration to the next, is none.

  Args:
    graph: the flattened jaxpr of a loss.
    origin: what `first_layer.origins` returned.

  Returns:
    Keys of scans, as in `sites.Scan`.
  """
  found = set()
  for place in facts.places(graph):
    operation = place.operation
    if operation.primitive.name != 'scan':
      continue
    num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
    scanned = operation.inputs[num_consts + num_carry :]
    kinds = [origin.get(key, 0) for key in scanned if isinstance(key, int)]
    if _PARAMETER in kinds:
      continue
    (body,) = operation.bodies
    carried = body.inputs[num_consts:][:num_carry]
    pairs = zip(carried, body.outputs, strict=False)
    if any(_is_kept(body, given, kept, origin) for given, kept in pairs):
      found.add(min(body.inputs))
  return frozenset(found)


def _is_kept(
  body: Graph, given: int, kept: object, origin: dict[int, int]
) -> bool:
  """Whether a state is a share of what it was, and anything added to it."""
  makers: dict[int, Operation] = {
    key: operation for operation in body.operations for key in operation.outputs
  }
  pending = [(kept, False)]
  seen = set(pending)
  while pending:
    key, is_gated = pending.pop()
    if key == given and is_gated:
      return True
    operation = makers.get(key) if isinstance(key, int) else None
    if operation is None or operation.primitive.name not in _CARRYING:
      continue
    atoms = [a for a in operation.inputs if isinstance(a, int)]
    for atom in atoms:
      is_product = operation.primitive.name == 'mul' and any(
        origin.get(other, 0) for other in atoms if other != atom
      )
      step = (atom, is_gated or is_product)
      if step not in seen:
        seen.add(step)
        pending.append(step)
  return False
