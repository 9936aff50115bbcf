"""A jaxpr as a list of operations with absolute scopes, calls inlined.

This is the only file that knows how jax writes a jaxpr down, and the only one
in which versions of jax differ.
"""

from collections.abc import Callable, Collection, Sequence
import itertools
from typing import Any, NamedTuple

import jax
from jax.extend import core
from jaxdl.tracing import source

Path = tuple[str, ...]


class _Closed(NamedTuple):
  """A jaxpr with its constants, which is a class in some versions only."""

  jaxpr: core.Jaxpr
  consts: Sequence[Any]


class Operation(NamedTuple):
  """One primitive applied to values.

  Attributes:
    primitive: what is applied.
    params: its parameters.
    path: the named scopes it lies in, outermost first.
    inputs: the values it reads: keys of `Graph`, or literals.
    outputs: the keys of the values it makes.
    bodies: graphs that it calls and that a probe can look into: the body of a
      scan or of a remat, the branches of a cond; else empty.
    called: the graph of a function with a derivative of its own, for those who
      read and don't differentiate; else None.
    activation: the activation function that it is a part of; else empty.
    traceback: the Python frames in which it was written, or None.
    hidden: the scopes in it, relative to `path`, that a probe can't look into:
      those in a while loop, and in a function with a derivative of its own.
    around: the traceback of the operation in whose body it is, or None; its own
      may end where the body begins.
    calls: for each scope of `path`, the number of the inlined call that opened
      it: two calls enter a scope of one name twice.
  """

  primitive: core.Primitive
  params: dict[str, Any]
  path: Path
  inputs: tuple[int | core.Literal, ...]
  outputs: tuple[int, ...]
  bodies: tuple['Graph', ...]
  called: 'Graph | None' = None
  activation: str = ''
  traceback: Any = None
  hidden: tuple[Path, ...] = ()
  around: Any = None
  calls: tuple[int, ...] = ()

  @property
  def source(self) -> str:
    """The line that it was written in: `model.py:42 attention`, or empty."""
    return source.line(self.traceback) or source.line(self.around)

  @property
  def instructions(self) -> tuple[Any, ...]:
    """Those that it was made in, innermost first; see `source`."""
    return source.instructions(self.traceback) or source.instructions(
      self.around
    )

  @property
  def written_out(self) -> 'Operation':
    """What a function with a derivative of its own does, if that is one thing.

    So a product whose derivative is written another way is a product.
    """
    if self.called is None or len(self.called.operations) != 1:
      return self
    (only,) = self.called.operations
    if (only.inputs, only.outputs) != (self.called.inputs, self.called.outputs):
      return self
    return self._replace(primitive=only.primitive, params=only.params)


class Graph(NamedTuple):
  """Operations in order; values are numbered.

  Attributes:
    inputs: keys of the arguments.
    constants: constants, by key.
    operations: in an order in which they can be evaluated.
    outputs: keys of, or literals for, the results.
    avals: the abstract value (shape, dtype) of every key.
  """

  inputs: tuple[int, ...]
  constants: dict[int, Any]
  operations: tuple[Operation, ...]
  outputs: tuple[int | core.Literal, ...]
  avals: dict[int, Any]


def graph(closed: Any) -> Graph:
  """Flattens a closed jaxpr; calls to jitted functions are inlined.

  A scope that is entered again, by an unrolled loop, is numbered: `block#2`.
  """
  return _Numbering().number(_Flattening().graph(_close(closed), _Caller()))


def has_scopes(graph: Graph) -> bool:
  """Whether any operation lies in a named scope."""
  return any(
    operation.path or any(map(has_scopes, operation.bodies))
    for operation in graph.operations
  )


def with_lines_as_scopes(
  graph: Graph, made: Collection[int] | None = None
) -> Graph:
  """Puts operations in scopes named as their lines: `model.py:42 attention`.

  Args:
    graph: any.
    made: keys of values made in no scope: their lines are put. None puts all
      lines, in a graph without scopes of its own.
  """
  if made is not None and not made:
    return graph
  return _Numbering().number(_with_lines_as_scopes(graph, made))


def _with_lines_as_scopes(
  graph: Graph, made: Collection[int] | None, is_within: bool = False
) -> Graph:
  lines = {
    operation.source
    for operation in graph.operations
    if made is None or any(key in made for key in operation.outputs)
  }
  operations = []
  runs = source.runs((o.source, o.instructions) for o in graph.operations)
  for operation, run in zip(graph.operations, runs, strict=True):
    is_scoped = is_within or bool(operation.path)
    bodies = tuple(
      _with_lines_as_scopes(body, made, is_scoped) for body in operation.bodies
    )
    # What is in a body has lines of its own.
    if not bodies and not is_scoped and operation.source in lines - {''}:
      operation = operation._replace(path=(operation.source,), calls=(run,))
    operations.append(operation._replace(bodies=bodies))
  return graph._replace(operations=tuple(operations))


def num_consts_and_carry(scan: Operation) -> tuple[int, int]:
  """How many of a scan's inputs are constants, and how many are carried."""
  if 'ft_in' in scan.params:  # Since jax 0.12, which groups the inputs.
    consts, carry, _ = scan.params['ft_in'].unpack()
    return len(consts), len(carry)
  return scan.params['num_consts'], scan.params['num_carry']


def bind(operation: Operation, values: Sequence[Any]) -> list[Any]:
  """Applies the primitive of `operation` to `values`, in its named scope."""
  bound = operation.primitive.get_bind_params(operation.params)
  # A pair of sub-functions and parameters before jax 0.9, a dict since.
  functions, params = bound if isinstance(bound, tuple) else ((), bound)
  with jax.named_scope('/'.join(operation.path)):
    results = operation.primitive.bind(*functions, *values, **params)
  return list(results) if operation.primitive.multiple_results else [results]


def rebind(
  operation: Operation, evaluate: Callable[..., Any], *args: Any
) -> Any:
  """Applies `jax.checkpoint` as `operation` does, to another function."""
  return jax.checkpoint(
    evaluate,
    prevent_cse=operation.params['prevent_cse'],
    policy=operation.params['policy'],
  )(*args)


class _Caller(NamedTuple):
  """What an inlined call hands on to the operations in it.

  Attributes:
    path: the scopes around it.
    activation: what it is a part of, or empty.
    traceback: of the outermost call to a function of jax, whose own lines are
      those of its first call; or None.
    around: of the operation in whose body it is, or None.
    calls: for each scope of `path`, the number of the call that opened it.
    number: of this call.
  """

  path: Path = ()
  activation: str = ''
  traceback: Any = None
  around: Any = None
  calls: tuple[int, ...] = ()
  number: int = 0


class _Flattening:
  """Numbers values while calls are inlined."""

  def __init__(self):
    self._next = 0
    self._calls = itertools.count(1)

  def graph(self, closed: _Closed, caller: _Caller) -> Graph:
    env: dict[core.Var, int] = {}
    avals: dict[int, Any] = {}
    operations: list[Operation] = []
    constants = {
      self._name(var, env, avals): value
      for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
    }
    inputs = tuple(self._name(var, env, avals) for var in closed.jaxpr.invars)
    self._inline(closed.jaxpr, caller, env, avals, constants, operations)
    outputs = tuple(_look_up(atom, env) for atom in closed.jaxpr.outvars)
    return Graph(inputs, constants, tuple(operations), outputs, avals)

  def _name(self, var, env, avals) -> int:
    env[var] = self._next
    avals[self._next] = var.aval
    self._next += 1
    return env[var]

  def _inline(self, jaxpr, caller, env, avals, constants, operations) -> None:
    for eqn in jaxpr.eqns:
      here = _enter(eqn, caller)
      inputs = tuple(_look_up(atom, env) for atom in eqn.invars)
      called = _inlined_call(eqn)
      if called is not None:
        here = here._replace(number=next(self._calls))
        inner = dict(zip(called.jaxpr.invars, inputs, strict=True))
        for var, value in zip(
          called.jaxpr.constvars, called.consts, strict=True
        ):
          constants[self._name(var, inner, avals)] = value
        self._inline(called.jaxpr, here, inner, avals, constants, operations)
        env.update(
          (var, _look_up(atom, inner))
          for var, atom in zip(eqn.outvars, called.jaxpr.outvars, strict=True)
        )
        continue
      outputs = tuple(self._name(var, env, avals) for var in eqn.outvars)
      # Scopes in a body are relative to it.
      traceback = here.traceback or eqn.source_info.traceback
      inside = here._replace(path=(), calls=())
      if source.line(traceback):
        inside = inside._replace(around=traceback)
      own = _with_own_derivative(eqn)
      closed = [body for body in (own, _loop_body(eqn)) if body is not None]
      operations.append(
        Operation(
          eqn.primitive,
          eqn.params,
          here.path,
          inputs,
          outputs,
          bodies=tuple(self.graph(body, inside) for body in _bodies(eqn)),
          called=None if own is None else self.graph(own, inside),
          activation=here.activation,
          traceback=traceback,
          around=here.around,
          calls=here.calls,
          hidden=tuple(p for b in closed for p in _scopes_within(b)),
        )
      )


def _enter(eqn: Any, caller: _Caller) -> _Caller:
  traceback = caller.traceback
  if traceback is None and source.calls_jax(eqn):
    traceback = eqn.source_info.traceback
  opened = _scopes(eqn)
  return caller._replace(
    path=caller.path + opened,
    activation=caller.activation or source.activation(eqn),
    traceback=traceback,
    calls=caller.calls + (caller.number,) * len(opened),
  )


class _Numbering:
  """Tells apart the times that a scope is entered: `block`, `block#2`.

  A scope is left where an operation follows that doesn't lie in it, or that
  another call put there.
  """

  def __init__(self):
    self._entries: dict[Path, int] = {}
    self._written: _Opened = ()  # The path of the last operation, absolute,
    self._numbered: Path = ()  # and with its numbers.

  def number(self, graph: Graph, written: '_Opened' = ()) -> Graph:
    """Numbers a graph that lies in the scopes `written`, the innermost open."""
    operations = []
    for operation in graph.operations:
      calls = operation.calls or (0,) * len(operation.path)
      inside = written + tuple(zip(operation.path, calls, strict=True))
      path = self._enter(inside)
      operation = operation._replace(path=path[len(written) :])
      bodies = []
      for body in operation.bodies:
        self._enter(inside)
        bodies.append(self.number(body, inside))
      operations.append(operation._replace(bodies=tuple(bodies)))
    return graph._replace(operations=tuple(operations))

  def _enter(self, path: '_Opened') -> Path:
    length = common_length(self._written, path)
    self._written, self._numbered = path, self._numbered[:length]
    for name, _ in path[length:]:
      entered = (*self._numbered, name)
      entry = self._entries[entered] = self._entries.get(entered, 0) + 1
      self._numbered += (name if entry == 1 else f'{name}#{entry}',)
    return self._numbered


# Scopes, with the number of the call that opened each.
_Opened = tuple[tuple[str, int], ...]


def common_length(a: Sequence[Any], b: Sequence[Any]) -> int:
  """How many scopes two paths share, from the outermost on."""
  length = 0
  for x, y in zip(a, b, strict=False):
    if x != y:
      break
    length += 1
  return length


def _look_up(atom: Any, env: dict[core.Var, Any]) -> Any:
  return atom if isinstance(atom, core.Literal) else env[atom]


def _scopes(eqn: Any) -> Path:
  """Named scopes, without what `vmap` writes around them: `vmap(layer)`."""
  stack = eqn.source_info.name_stack
  kept = type(stack)(tuple(e for e in stack.stack if not _is_vmap(e)))
  # A transformation outside all scopes leaves a bare `jvp()`.
  return tuple(s for s in str(kept).split('/') if s and '()' not in s)


def _is_vmap(entry: Any) -> bool:
  return type(entry).__name__ == 'Transform' and entry.name == 'vmap'


def _inlined_call(eqn: Any) -> _Closed | None:
  """What a call that only names or compiles its body calls."""
  if eqn.primitive.name in ('jit', 'pjit', 'closed_call', 'core_call'):
    return _close(eqn.params.get('jaxpr', eqn.params.get('call_jaxpr')))
  return None


def _bodies(eqn: Any) -> tuple[_Closed, ...]:
  match eqn.primitive.name:
    case 'scan' | 'checkpoint' | 'remat2' | 'remat':
      return (_close(eqn.params['jaxpr']),)
    case 'cond':
      return tuple(map(_close, eqn.params['branches']))
    case _:
      return ()


def _with_own_derivative(eqn: Any) -> _Closed | None:
  """What a call to a function with a derivative of its own calls."""
  if eqn.primitive.name in ('custom_jvp_call', 'custom_vjp_call'):
    return _close(eqn.params['call_jaxpr'])
  return None


def _loop_body(eqn: Any) -> _Closed | None:
  is_while = eqn.primitive.name == 'while'
  return _close(eqn.params['body_jaxpr']) if is_while else None


def _scopes_within(closed: _Closed) -> list[Path]:
  """The scopes in a body and in what it calls, each once."""
  found: dict[Path, None] = {}
  for eqn in closed.jaxpr.eqns:
    path = _scopes(eqn)
    found.update(dict.fromkeys(path[: n + 1] for n in range(len(path))))
    inner = [_inlined_call(eqn), _with_own_derivative(eqn), _loop_body(eqn)]
    for body in (*_bodies(eqn), *filter(None, inner)):
      found.update(dict.fromkeys(path + p for p in _scopes_within(body)))
  return list(found)


def _close(jaxpr: Any) -> _Closed:
  return _Closed(getattr(jaxpr, 'jaxpr', jaxpr), getattr(jaxpr, 'consts', ()))
