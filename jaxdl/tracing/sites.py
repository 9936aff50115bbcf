"""Where values leave named scopes, and which of these places cut the graph."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.tracing.jaxpr import Path


class Scan(NamedTuple):
  """A scan around a value.

  Attributes:
    key: tells one scan from another.
    length: number of iterations.
    reverse: whether it runs from the last iteration to the first.
  """

  key: int
  length: int
  reverse: bool


class Site(NamedTuple):
  """A value that leaves one or more named scopes.

  Attributes:
    key: of the value in its graph.
    paths: the scopes that it leaves, innermost first, as `outer/inner`.
    shape: of the value, in one iteration of the scans around it.
    dtype: of the value.
    scans: those around it, outermost first.
    is_cut: whether every path from earlier sites to the loss runs through it,
      so that scaling its cotangent scales all cotangents before it alike.
    activation: the activation function that made it, or empty.
    source: the line that made it, `model.py:42 attention`, or empty.
    is_live: whether the loss depends on it.
    units: the axis along which its units lie.
  """

  key: int
  paths: tuple[str, ...]
  shape: tuple[int, ...]
  dtype: Any
  scans: tuple[Scan, ...]
  is_cut: bool
  activation: str
  source: str
  is_live: bool = True
  units: int = -1

  @property
  def lengths(self) -> tuple[int, ...]:
    """Of the scans around it: the leading axes of its statistics."""
    return tuple(scan.length for scan in self.scans)


def find(graph: Graph) -> tuple[Site, ...]:
  """Finds the sites of a graph whose first output is the loss.

  Of several values that leave a scope, those on which the loss depends go
  before others, then the largest, then the last. A path that occurs twice gets
  a number: `block`, `block#2`.

  An activation function between two layers, whose value leaves no scope, is a
  scope of its own: `block/relu`. In a graph without any named scopes, those are
  the lines of the program: `model.py:42 attention`. A value made of
  numbers in the program alone, such as a recurrent network's first state, is
  none.

  Args:
    graph: the flattened jaxpr of a loss.

  Returns:
    The sites in the order in which they are computed.
  """
  if not jaxpr.has_scopes(graph):
    graph = jaxpr.with_lines_as_scopes(graph)
  found = _find(graph, (), (), live=frozenset({0}), is_open=False)
  return _number_repeated_paths(found)


def hidden(graph: Graph) -> dict[str, str]:
  """Finds the scopes that a probe can't look into.

  Args:
    graph: the flattened jaxpr of a loss.

  Returns:
    By path, the primitive that hides them: `while`, `custom_vjp_call`.
  """
  return {'/'.join(path): name for path, name in _hidden(graph)}


def _hidden(graph: Graph) -> list[tuple[Path, str]]:
  found = []
  for operation in graph.operations:
    path, name = operation.path, operation.primitive.name
    found += [(path + inner, name) for inner in operation.hidden]
    for body in operation.bodies:
      found += [(path + inner, by) for inner, by in _hidden(body)]
  return found


def _find(
  graph: Graph,
  prefix: Path,
  scans: tuple[Scan, ...],
  live: frozenset[int],
  is_open: bool,
  tainted_inputs: frozenset[int] = frozenset(),
  lasting_inputs: frozenset[int] = frozenset(),
  fixed_inputs: frozenset[int] = frozenset(),
) -> list[Site]:
  """Finds the sites of one level.

  Args:
    graph: of this level.
    prefix: the scopes around it.
    scans: those around it.
    live: positions of the outputs on which the loss depends.
    is_open: whether an earlier site has a path to the loss past this level.
    tainted_inputs: keys of inputs that depend on sites.
    lasting_inputs: keys of inputs that are read again after this level (the
      constants of a scan).
    fixed_inputs: keys of inputs that are made of numbers in the program alone.

  Returns:
    Sites of this level and below, in order.
  """
  needed = _needed(graph, live)
  fixed = _fixed(graph, fixed_inputs)
  chosen = _chosen(graph, needed, fixed)
  last_use = _last_use(graph, needed, live, lasting_inputs)
  tainted = set(tainted_inputs)
  found = []
  for index, operation in enumerate(graph.operations):
    earlier = {key for key in tainted if last_use.get(key, -1) > index}
    inner = []
    for body in operation.bodies:
      inner += _find_in_body(
        body,
        operation,
        prefix,
        scans,
        needed,
        tainted,
        fixed,
        is_open=is_open or bool(earlier - set(operation.outputs)),
      )
    found += inner
    if inner or any(key in tainted for key in _keys(operation.inputs)):
      tainted.update(operation.outputs)
    for key in operation.outputs:
      if key in chosen:
        bypasses = {k for k in tainted if last_use.get(k, -1) > index} - {key}
        tainted.add(key)
        found.append(
          Site(
            key,
            tuple('/'.join(prefix + path) for path in chosen[key]),
            graph.avals[key].shape,
            graph.avals[key].dtype,
            scans,
            is_cut=not is_open and not bypasses,
            activation=operation.activation,
            source=operation.source,
            is_live=key in needed,
          )
        )
  return found


def _find_in_body(
  body: Graph,
  operation: Operation,
  prefix: Path,
  scans: tuple[Scan, ...],
  needed: set[int],
  tainted: set[int],
  fixed: set[int],
  is_open: bool,
) -> list[Site]:
  """Finds the sites in the body of a scan, remat, or branch of a cond."""
  is_scan = operation.primitive.name == 'scan'
  is_cond = operation.primitive.name == 'cond'
  inputs = operation.inputs[1:] if is_cond else operation.inputs
  pairs = list(zip(body.inputs, inputs, strict=True))
  tainted_inputs = {
    own for own, outer in pairs if isinstance(outer, int) and outer in tainted
  }
  fixed_inputs = {
    own for own, outer in pairs if not isinstance(outer, int) or outer in fixed
  }
  lasting = set()
  if is_scan:
    params = operation.params
    key = min(body.inputs, default=-1)
    scans += (Scan(key, params['length'], params['reverse']),)
    num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
    lasting = set(body.inputs[:num_consts])
    carried = body.inputs[num_consts:][:num_carry]
    tainted_inputs |= {k for k in carried if _is_inexact(body.avals[k])}
    fixed_inputs.difference_update(carried)
  return _find(
    body,
    prefix + operation.path,
    scans,
    live=_live_outputs(operation, needed),
    is_open=is_open or is_cond,
    tainted_inputs=frozenset(tainted_inputs),
    lasting_inputs=frozenset(lasting),
    fixed_inputs=frozenset(fixed_inputs),
  )


def _chosen(
  graph: Graph, needed: set[int], fixed: set[int]
) -> dict[int, list[Path]]:
  """The value that stands for each scope: its paths, innermost first."""
  best: dict[Path, tuple[Any, int]] = {}
  for order, (key, path) in enumerate(_exits(graph)):
    if key in fixed:
      continue
    rank = (key in needed, math.prod(graph.avals[key].shape), order)
    if path not in best or rank > best[path][0]:
      best[path] = (rank, key)
  chosen: dict[int, list[Path]] = {}
  for path, (_, key) in best.items():
    chosen.setdefault(key, []).append(path)
  return {
    key: sorted(paths, key=len, reverse=True) for key, paths in chosen.items()
  }


def _exits(graph: Graph) -> list[tuple[int, Path]]:
  """Every value to measure with every scope that it leaves, in order."""
  shared: dict[int, int] = {}  # Scopes that a value and all its readers share.
  made_in = {
    key: (operation.path, operation.activation)
    for operation in graph.operations
    for key in operation.outputs
  }
  within: set[int] = set()  # Read by the activation function they are part of.
  for operation in graph.operations:
    for key in _keys(operation.inputs):
      if key in made_in:
        path, activation = made_in[key]
        depth = jaxpr.common_length(path, operation.path)
        shared[key] = min(depth, shared.get(key, depth))
        if activation and activation == operation.activation:
          within.add(key)
  for key in _keys(graph.outputs):
    shared[key] = 0
  exits = []
  times: dict[Path, int] = {}
  for key, (path, activation) in made_in.items():
    if key in shared and _is_measurable(graph.avals[key]):
      exits += [(key, path[:n]) for n in range(shared[key] + 1, len(path) + 1)]
      if activation and shared[key] == len(path) and key not in within:
        time = times[*path, activation] = times.get((*path, activation), 0) + 1
        name = activation if time == 1 else f'{activation}#{time}'
        exits.append((key, (*path, name)))
  return exits


def _fixed(graph: Graph, inputs: frozenset[int]) -> set[int]:
  """Keys of the values that are made of numbers in the program alone."""
  fixed = set(inputs)
  for operation in graph.operations:
    if fixed.issuperset(_keys(operation.inputs)):
      fixed.update(operation.outputs)
  return fixed


def _needed(graph: Graph, live: frozenset[int]) -> set[int]:
  """Keys of the values on which the live outputs depend."""
  needed = {
    key
    for i, key in enumerate(graph.outputs)
    if i in live and isinstance(key, int)
  }
  for operation in reversed(graph.operations):
    if needed.intersection(operation.outputs):
      needed.update(_keys(operation.inputs))
  return needed


def _live_outputs(operation: Operation, needed: set[int]) -> frozenset[int]:
  """Positions of the outputs of a body on which the loss depends."""
  live = {i for i, key in enumerate(operation.outputs) if key in needed}
  if operation.primitive.name != 'scan':
    return frozenset(live)
  (body,) = operation.bodies
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  carried = body.inputs[num_consts:][:num_carry]
  while True:  # What is carried on may be needed by the next iteration.
    inner = _needed(body, frozenset(live))
    grown = live | {i for i, key in enumerate(carried) if key in inner}
    if grown == live:
      return frozenset(live)
    live = grown


def _last_use(
  graph: Graph,
  needed: set[int],
  live: frozenset[int],
  lasting_inputs: frozenset[int],
) -> dict[int, int]:
  """The index of the last operation toward the loss that reads each value."""
  last_use: dict[int, int] = {}
  for index, operation in enumerate(graph.operations):
    if needed.intersection(operation.outputs):
      last_use.update(dict.fromkeys(_keys(operation.inputs), index))
  end = len(graph.operations)
  for i, key in enumerate(graph.outputs):
    if i in live and isinstance(key, int):
      last_use[key] = end
  last_use.update(dict.fromkeys(lasting_inputs & last_use.keys(), end))
  return last_use


def _number_repeated_paths(found: list[Site]) -> tuple[Site, ...]:
  seen: dict[str, int] = {}

  def number(path):
    seen[path] = seen.get(path, 0) + 1
    return path if seen[path] == 1 else f'{path}#{seen[path]}'

  return tuple(
    site._replace(paths=tuple(map(number, site.paths))) for site in found
  )


def _keys(atoms: tuple[Any, ...]) -> list[int]:
  return [atom for atom in atoms if isinstance(atom, int)]


def _is_measurable(aval: Any) -> bool:
  return _is_inexact(aval) and math.prod(aval.shape) > 0


def _is_inexact(aval: Any) -> bool:
  return hasattr(aval, 'dtype') and jnp.issubdtype(aval.dtype, jnp.inexact)


def keys_within(graph: Graph) -> set[int]:
  """Keys of all values made in a graph and in the bodies below it."""
  keys: set[int] = set()
  for operation in graph.operations:
    keys.update(operation.outputs)
    for body in operation.bodies:
      keys |= keys_within(body)
  return keys
