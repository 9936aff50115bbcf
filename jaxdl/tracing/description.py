"""Describes what is to blame: the values that it read, and what came of it."""

from typing import Any, NamedTuple

from jaxdl.tracing import culprit
from jaxdl.tracing import derivatives
from jaxdl.tracing import faults
from jaxdl.tracing import hunting
from jaxdl.tracing import judging
from jaxdl.tracing import loops
from jaxdl.tracing import spots
from jaxdl.tracing.culprit import Culprit
import numpy as np


class Context(NamedTuple):
  """What is known of a cause beside its graph.

  Attributes:
    forward: the names of the operations of the forward pass, on which the loss
      depends, and of those that do the same again.
    arguments: the names of the inputs of the graph.
    scopes: of the loss as it is before it is differentiated.
    paths: of the loops that were opened.
    iteration: of them.
  """

  forward: frozenset[int]
  arguments: tuple[str, ...] = ()
  scopes: frozenset[str] = frozenset()
  paths: tuple[tuple[str, ...], ...] = ()
  iteration: tuple[int, ...] = ()


class View(NamedTuple):
  """What is to blame, and which operations have to be seen to describe it.

  Attributes:
    hunt: in which it was found.
    cause: what is to blame.
    context: what else is known of it.
    origin: the operation of which it is a derivative, or None.
    then: the operation that makes NaN of it, or None.
  """

  hunt: hunting.Hunt
  cause: hunting.Cause
  context: Context
  origin: spots.Spot | None = None
  then: spots.Spot | None = None

  @property
  def shown(self) -> frozenset[int]:
    """The names of the operations whose values are needed."""
    own = {self.cause.name} & self.hunt.spots.keys()
    return frozenset(own | {s.name for s in (self.origin, self.then) if s})


def view(hunt: hunting.Hunt, cause: hunting.Cause, context: Context) -> View:
  """Says what has to be seen.

  Args:
    hunt: in which it was found.
    cause: what is to blame.
    context: what else is known of it.
  """
  origin = None
  if cause.name in hunt.spots and cause.name not in context.forward:
    names = context.forward & hunt.spots.keys()
    origin = derivatives.differentiated(
      hunt.spots[cause.name], (hunt.spots[n] for n in sorted(names))
    )
  return View(hunt, cause, context, origin, _first_nan(hunt, cause))


def describe(seen_from: View, wanted: frozenset[int]) -> Culprit:
  """Evaluates the graph once more and looks at what is to blame.

  Args:
    seen_from: says what has to be seen.
    wanted: the names of these and, so that one program serves them all, of what
      other views need of the same graph.
  """
  hunt, cause, context, origin, then = seen_from
  if cause.name not in hunt.spots:
    return _argument(hunt, cause, context)
  spot = hunt.spots[cause.name]
  seen = hunt.look(cause.repaired, wanted)
  here = _at(seen[cause.name], cause.iteration)
  if spot.operation.primitive.name == 'while':
    opened = loops.open_loop(spot.operation, here.operands)
    if opened is not None:
      is_forward = cause.name in context.forward
      below = Context(
        frozenset(opened.hunt.spots) if is_forward else frozenset(),
        scopes=context.scopes,
        paths=(*context.paths, *spot.paths),
        iteration=(*context.iteration, *cause.iteration, opened.iteration),
      )
      inner = view(opened.hunt, opened.cause, below)
      return describe(inner, inner.shown)
  found = _operation(spot, here, cause, context)
  if origin is not None:
    found = _as_derivative(found, origin, seen, cause)
  if then is not None and found.kind == 'inf':
    found = found._replace(became=_became(hunt, then, seen, cause, context))
  return found


def _operation(spot, here: faults.Seen, cause, context) -> Culprit:
  result, at_fault = _at_fault(here)
  index = _first(at_fault)
  operation = spot.operation
  inputs = _operands(operation, here, result.shape, index)
  name = operation.primitive.name
  reason = culprit.arithmetic(name, operation.params, inputs)
  return Culprit(
    scope=derivatives.scope((*context.paths, *spot.paths), context.scopes),
    primitive=name,
    source=operation.source,
    kind=_kind(result[index]),
    phase='forward' if cause.name in context.forward else 'backward',
    iteration=(*context.iteration, *cause.iteration),
    inputs=inputs,
    first_bad=index,
    num_bad=int(at_fault.sum()),
    size=result.size,
    reason=reason,
    is_constant=cause.bits & ~judging.CONSTANT == 0,
  )


def _argument(hunt, cause, context) -> Culprit:
  position = hunt.graph.inputs.index(cause.name)
  value = np.asarray(hunt.args[position])
  at_fault = ~np.isfinite(value)
  index = _first(at_fault)
  return Culprit(
    scope=context.arguments[position],
    primitive='argument',
    source='',
    kind=_kind(value[index]),
    phase='forward' if cause.name in context.forward else 'backward',
    iteration=(),
    inputs=(culprit.operand(value, value[index]),),
    first_bad=index,
    num_bad=int(at_fault.sum()),
    size=value.size,
    reason='',
  )


def _as_derivative(found: Culprit, origin, seen, cause) -> Culprit:
  """Says of which operation it is the derivative, and where that was taken."""
  operation = origin.operation
  reason = f'derivative of {operation.primitive.name}'
  computed = found.reason
  if len(origin.lengths) == len(cause.iteration):
    here = _at(seen[spots.name(operation)], cause.iteration)
    shape = here.results[0].shape
    is_same = len(shape) == len(found.first_bad) and found.size == np.prod(
      shape
    )
    index = found.first_bad if is_same else None
    inputs = _operands(operation, here, shape, index)
    found = found._replace(inputs=inputs)
    if all(x.value is not None for x in inputs):
      reason += ' at ' + ', '.join(culprit.number(x.value) for x in inputs)
  return found._replace(
    primitive=operation.primitive.name, reason=f'{reason} ({computed})'
  )


def _first_nan(hunt, cause) -> spots.Spot | None:
  """The first operation that makes NaN of what is to blame."""
  later = []
  for name in cause.outcome.keys() & hunt.spots.keys() - {cause.name}:
    where = hunt.first(name, cause.outcome[name] & judging.NAN)
    if where is not None:
      later.append((hunt.when(name, where), name))
  start = hunt.when(cause.name, cause.iteration)
  later = [x for x in later if x[0] > start]
  return hunt.spots[min(later)[1]] if later else None


def _became(hunt, then, seen, cause, context) -> str:
  name = spots.name(then.operation)
  iteration = hunt.first(name, cause.outcome[name] & judging.NAN)
  found = _operation(
    then,
    _at(seen[name], iteration),
    cause._replace(name=name, iteration=iteration, bits=judging.NAN),
    context,
  )
  if not any(x.nonfinite for x in found.inputs):
    return ''  # That is another fault, not what became of this one.
  where = culprit.location(found.scope, found.source, found.iteration)
  return f'It became nan in {found.primitive}{where}: {found.reason}'


def _at(seen: faults.Seen, iteration: tuple[int, ...]) -> faults.Seen:
  """In one iteration of the scans around."""
  pick = lambda x: None if x is None else np.asarray(x)[iteration]
  return faults.Seen(*(tuple(map(pick, values)) for values in seen))


def _at_fault(here: faults.Seen) -> tuple[Any, Any]:
  """The first result at fault, and where it is."""
  return next(
    (result, where)
    for result, where in zip(here.results, here.at_fault, strict=True)
    if where is not None and where.any()
  )


def _first(at_fault: Any) -> tuple[int, ...]:
  return tuple(map(int, np.argwhere(at_fault)[0]))


def _operands(operation, here, shape, index) -> tuple[culprit.Operand, ...]:
  """A summary of each; with the value at an index if that is what counts."""
  is_elementwise = operation.primitive.name in judging.ELEMENTWISE

  def summary(x):
    value = None
    if x is not None and x.shape == ():
      value = x[()]
    elif x is not None and is_elementwise and index:
      if judging.broadcasts(x.shape, shape):
        value = x[
          tuple(min(i, n - 1) for i, n in zip(index, x.shape, strict=True))
        ]
    return culprit.operand(x, value)

  return tuple(map(summary, here.operands))


def _kind(value: Any) -> str:
  return 'nan' if np.isnan(value) else 'inf'
