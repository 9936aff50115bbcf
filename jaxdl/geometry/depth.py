"""The depth of a model: layers with weights on the longest way through it."""

from collections.abc import Sequence

from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation

# How many layers lie between the input and a value; None of a value that does
# not depend on the input.
Depth = int | None


def longest_path(graph: Graph, inputs: Sequence[Depth]) -> list[Depth]:
  """Counts the convolutions and matrix products on the way to each output.

  Those of two values that both depend on the input, as in attention, have no
  weights and don't count. Where ways join, the longest counts, as is usual: a
  ResNet-50 has 50 layers, and the projections on its shortcuts are none.

  Args:
    graph: a flattened jaxpr.
    inputs: the depth of each of its inputs.
  """
  env: dict[int, Depth] = dict(zip(graph.inputs, inputs, strict=True))
  for operation in graph.operations:
    operands = [_look_up(atom, env) for atom in operation.inputs]
    if any(depth is not None for depth in operands):
      results = _apply(operation, operands)
      env.update(zip(operation.outputs, results, strict=True))
  return [_look_up(atom, env) for atom in graph.outputs]


def _look_up(atom, env) -> Depth:
  return env.get(atom) if isinstance(atom, int) else None


def _apply(operation: Operation, operands: list[Depth]) -> list[Depth]:
  if operation.called is not None:
    return longest_path(operation.called, operands)
  match operation.primitive.name:
    case 'scan':
      return _scan(operation, operands)
    case 'cond':
      branches = [longest_path(b, operands[1:]) for b in operation.bodies]
      return [_deepest(options) for options in zip(*branches, strict=True)]
    case 'conv_general_dilated' | 'dot_general':
      deepest = _deepest(operands)
      has_weights = None in operands
      added = 1 if has_weights else 0
      return [None if deepest is None else deepest + added]
    case _ if operation.bodies:  # A remat.
      return longest_path(operation.bodies[0], operands)
    case _:
      return [_deepest(operands)] * len(operation.outputs)


def _scan(operation: Operation, operands: list[Depth]) -> list[Depth]:
  (body,) = operation.bodies
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  consts = operands[:num_consts]
  carry = operands[num_consts:][:num_carry]
  xs = operands[num_consts + num_carry :]
  ys: list[Depth] = [None] * (len(body.outputs) - num_carry)
  for _ in range(operation.params['length']):
    outputs = longest_path(body, [*consts, *carry, *xs])
    carry = outputs[:num_carry]
    pairs = zip(ys, outputs[num_carry:], strict=True)
    ys = [_deepest(pair) for pair in pairs]
  return [*carry, *ys]


def _deepest(depths: Sequence[Depth]) -> Depth:
  return max((depth for depth in depths if depth is not None), default=None)
