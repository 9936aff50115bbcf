"""What the values of a graph see of its input, from operation to operation."""

from collections.abc import Callable, Sequence

from jaxdl.geometry import constants
from jaxdl.geometry import extents
from jaxdl.geometry import rules
from jaxdl.geometry.application import Application
from jaxdl.geometry.extents import Extent
from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation

# One extent for each axis of the input; None of a value that doesn't depend on
# the input.
Fields = tuple[Extent, ...] | None
Iteration = tuple[int, ...]
# Is told of every value that depends on the input: its key, which iterations of
# the scans around it made it, and what it sees.
Record = Callable[[int, Iteration, tuple[Extent, ...]], None]


def propagate(
  graph: Graph,
  inputs: Sequence[Fields],
  record: Record,
  iteration: Iteration = (),
) -> list[Fields]:
  """Returns what each output of a graph sees.

  Args:
    graph: a flattened jaxpr.
    inputs: what each input of the graph sees.
    record: is called once for each value, in the order of computation; again in
      each iteration of a scan.
    iteration: of the scans around the graph, outermost first.
  """
  env: dict[int, Fields] = dict(zip(graph.inputs, inputs, strict=True))
  known = constants.Known(graph)
  for operation in graph.operations:
    operands = [_look_up(atom, env) for atom in operation.inputs]
    if all(fields is None for fields in operands):
      continue
    results = _apply(operation, graph, known, operands, record, iteration)
    for key, fields in zip(operation.outputs, results, strict=True):
      env[key] = fields
      if fields is not None:
        record(key, iteration, fields)
  return [_look_up(atom, env) for atom in graph.outputs]


def _look_up(atom, env) -> Fields:
  return env.get(atom) if isinstance(atom, int) else None


def _apply(operation, graph, known, operands, record, iteration):
  name = operation.primitive.name
  if name == 'scan':
    return _scan(operation, operands, record, iteration)
  if name == 'cond':
    return _cond(operation, graph, operands, record, iteration)
  if name == 'optimization_barrier':
    return operands
  if operation.bodies:  # A remat.
    return propagate(operation.bodies[0], operands, record, iteration)
  if operation.called is not None:
    return propagate(operation.called, operands, record, iteration)
  return _apply_rule(operation, graph, known, operands)


def _apply_rule(operation, graph, known, operands) -> list[Fields]:
  shapes = tuple(_shape(atom, graph) for atom in operation.inputs)
  out_shapes = tuple(graph.avals[key].shape for key in operation.outputs)
  value = lambda position: known.value(operation.inputs[position])
  (num_axes,) = {len(fields) for fields in operands if fields is not None}
  by_axis = []
  for axis in range(num_axes):
    own = tuple(None if f is None else f[axis] for f in operands)
    application = Application(
      operation.primitive.name, operation.params, own, shapes, out_shapes, value
    )
    by_axis.append(rules.apply(application))
  if not by_axis:
    return [()] * len(out_shapes)
  return list(zip(*by_axis, strict=True))


def _cond(operation: Operation, graph, operands, record, iteration):
  """The union over branches; all see what the choice between them sees."""
  predicate, *inputs = operands
  branches = [
    propagate(body, inputs, record, iteration) for body in operation.bodies
  ]
  results = []
  for key, *options in zip(operation.outputs, *branches, strict=True):
    shape = graph.avals[key].shape
    if predicate is not None:
      gone = (None,) * len(shape)
      options.append(tuple(extents.rearrange(e, gone) for e in predicate))
    results.append(_union(options, shape, 'cond'))
  return results


def _scan(operation: Operation, operands, record, iteration) -> list[Fields]:
  """Goes through the iterations; those that repeat one are not redone."""
  (body,) = operation.bodies
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  consts = operands[:num_consts]
  carry = operands[num_consts:][:num_carry]
  xs = operands[num_consts + num_carry :]
  order = range(operation.params['length'])
  if operation.params['reverse']:
    order = order[::-1]
  previous = None
  outputs: list[Fields] = [None] * len(body.outputs)
  recorded: list[tuple[int, Iteration, tuple[Extent, ...]]] = []
  ys = []
  for index in order:
    inputs = [*consts, *carry, *(_element(fields, index) for fields in xs)]
    if inputs == previous:
      recorded = [
        (key, _moved(inner, len(iteration), index), fields)
        for key, inner, fields in recorded
      ]
    else:
      recorded = []
      keep = lambda *found: recorded.append(found)
      outputs = propagate(body, inputs, keep, (*iteration, index))
    for found in recorded:
      record(*found)
    previous, carry = inputs, outputs[:num_carry]
    ys.append(outputs[num_carry:])
  if operation.params['reverse']:
    ys.reverse()
  shapes = [_shape(atom, body) for atom in body.outputs[num_carry:]]
  stacks = [
    _stacked([y[i] for y in ys], shape) for i, shape in enumerate(shapes)
  ]
  return [*carry, *stacks]


def _moved(iteration: Iteration, depth: int, index: int) -> Iteration:
  return (*iteration[:depth], index, *iteration[depth + 1 :])


def _element(fields: Fields, index: int) -> Fields:
  """What element `index` along the first axis of a value sees."""
  if fields is None:
    return None
  return tuple(
    extents.rearrange(
      e._replace(start=e.start + index * e.strides[0]),
      range(1, len(e.strides)),
    )
    for e in fields
  )


def _stacked(options: Sequence[Fields], shape: extents.Shape) -> Fields:
  """What a value sees that stacks others of one shape along a new first axis.

  The first axis has a stride where each iteration sees as far beyond the one
  before; otherwise all elements along it are taken to see what any of them
  sees.
  """
  lead = (None, *range(len(shape)))
  tracked = [fields for fields in options if fields is not None]
  if len(options) == len(tracked) > 1:
    steps = [b.start - a.start for a, b in zip(*tracked[:2], strict=True)]
    expected = [
      tuple(
        e._replace(start=e.start + index * step)
        for e, step in zip(tracked[0], steps, strict=True)
      )
      for index in range(len(tracked))
    ]
    if any(steps) and expected == tracked:
      return tuple(
        e._replace(strides=(step, *e.strides))
        for e, step in zip(tracked[0], steps, strict=True)
      )
  raised = [tuple(extents.rearrange(e, lead) for e in f) for f in tracked]
  return _union(raised, (len(options), *shape), 'scan')


def _union(
  options: Sequence[Fields], shape: extents.Shape, name: str
) -> Fields:
  """What a value sees that is one of several, or made of all."""
  tracked = [fields for fields in options if fields is not None]
  if not tracked:
    return None
  return tuple(
    extents.union(own, shape, name) for own in zip(*tracked, strict=True)
  )


def _shape(atom, graph: Graph) -> extents.Shape:
  return graph.avals[atom].shape if isinstance(atom, int) else atom.aval.shape
