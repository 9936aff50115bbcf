"""The probe: a function transformation that measures what flows through a net.

`probe(loss)` returns what `jax.value_and_grad(loss)` returns and, beside it, a
`Profile`: for each `jax.named_scope` in `loss`, statistics of the value that
leaves it (forward) and of the loss's derivative with respect to that value
(backward). It reads the jaxpr of the function, so it needs nothing from the
model but its scopes.

The cotangent is measured inside the one backward pass that training does
anyway: an identity is placed where a value leaves a scope, whose second
argument, a slot of zeros, receives the statistics of the cotangent as its
"gradient". A scan gets a slot for each of its iterations as further `xs`, and
returns the forward statistics as further `ys`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import jaxpr
from jaxdl.tracing import parameters
from jaxdl.tracing import sites
from jaxdl.tracing import source
from jaxdl.tracing import statistics
from jaxdl.tracing import units
from jaxdl.tracing.sites import Site
from jaxdl.tracing.statistics import Measure


class Signal(NamedTuple):
  """What was measured where a value leaves a scope; None if not asked for.

  Attributes:
    forward: statistics of the value, `statistics.Forward` by default.
    backward: statistics of the derivative of the loss with respect to it,
      `statistics.Backward` by default.
  """

  forward: Any
  backward: Any


class Taps(NamedTuple):
  """What to measure where a value leaves a scope; None measures nothing."""

  forward: statistics.Measure | None = None
  backward: statistics.Measure | None = None


@jax.tree_util.register_pytree_with_keys_class
class Profile(Mapping[str, Signal]):
  """Signals by scope (`hidden/layer/activation`), in order of depth.

  An immutable mapping and a pytree. Values in a scan have that scan's length as
  leading axis of their statistics.
  """

  def __init__(self, names: tuple[str, ...], signals: tuple[Signal, ...]):
    self._names = names
    self._signals = signals

  def __getitem__(self, name: str) -> Signal:
    if name not in self._names:
      raise KeyError(f'{name!r} is no scope of {", ".join(self._names)}')
    return self._signals[self._names.index(name)]

  def __iter__(self) -> Iterator[str]:
    return iter(self._names)

  def __len__(self) -> int:
    return len(self._names)

  def __repr__(self) -> str:
    rows = (f'  {name}: {self[name]}' for name in self)
    return 'Profile(\n' + '\n'.join(rows) + '\n)'

  def tree_flatten_with_keys(self):
    """Flattens; the names are static and keep their order."""
    keys = (jax.tree_util.DictKey(name) for name in self._names)
    return tuple(zip(keys, self._signals, strict=True)), self._names

  def tree_flatten(self):
    """As `tree_flatten_with_keys`, without keys."""
    return self._signals, self._names

  @classmethod
  def tree_unflatten(cls, names, signals):
    """Inverse of `tree_flatten`."""
    return cls(names, tuple(signals))


# Maps the sites that were found, in order of depth, to what is measured, by
# path; what it leaves out is not measured.
ChooseTaps = Callable[[Sequence[Site]], Mapping[str, Taps]]


def everything(found: Sequence[Site]) -> Mapping[str, Taps]:
  """Measures forward and backward statistics in every scope."""
  return {path: full(site) for site in found for path in site.paths}


def full(site: Site) -> Taps:
  """Forward statistics, those of its activation function too, and backward."""
  return Taps(_forward(site.activation), _BACKWARD)


# One measure for one activation: a value is measured once for all its scopes.
_forward = functools.cache(
  lambda activation: statistics.forward(
    source.FLAT_ENDS.get(activation, (None, None))
  )
)
_BACKWARD = statistics.backward()


def probe(
  fn: Callable[..., Any],
  argnums: int | tuple[int, ...] = 0,
  has_aux: bool = False,
  *,
  taps: ChooseTaps = everything,
) -> Callable[..., tuple[Any, Any, Profile]]:
  """Differentiates `fn` and measures the signal in each of its named scopes.

  Composes with `jit`, `vmap`, `scan` and `shard_map`, and traces `fn` once. The
  value and the gradients are those of `jax.value_and_grad`.

  Args:
    fn: a function to a scalar, or to `(scalar, aux)` if `has_aux`.
    argnums: the arguments that are differentiated, as in `jax.grad`.
    has_aux: whether `fn` returns auxiliary data beside the scalar.
    taps: maps the sites found, in order of depth, to what to measure where a
      value leaves them, by path.

  Returns:
    A function of the arguments of `fn`, which returns `(value, grads, profile)`
    or `((value, aux), grads, profile)`. Of several values that leave a scope,
    the profile holds the largest, of these the last. A scope that is entered
    again is numbered: `block#2`; an activation function between scopes is one
    of its own, and without any scopes the lines of the program are (see
    `sites.find`). Values inside a `while` loop, a `custom_jvp` or a
    `custom_vjp` are not seen.

  Raises:
    TypeError: as `jax.grad` does, if the output is no scalar.
    ValueError: if there is no argument of that number.
  """

  def probed(*args, **kwargs):
    positions = _positions(argnums, len(args))
    args = tuple(
      jax.tree.map(jnp.asarray, arg) if i in positions else arg
      for i, arg in enumerate(args)
    )
    traced = trace(fn, args, kwargs)
    value, grads, profile = measure(
      traced, taps, args, kwargs, positions, has_aux
    )
    return value, grads[0] if isinstance(argnums, int) else grads, profile

  return probed


class Traced(NamedTuple):
  """A function as the probe reads it.

  Attributes:
    graph: its operations.
    out_tree: the structure of its results.
    sites: where values leave scopes.
  """

  graph: jaxpr.Graph
  out_tree: Any
  sites: tuple[Site, ...]


def trace(
  fn: Callable[..., Any],
  args: tuple[Any, ...],
  kwargs: Mapping[str, Any],
  num_parameters: int = 0,
) -> Traced:
  """Traces a function once, and finds what can be measured in it.

  Args:
    fn: a function to a scalar, or to `(scalar, aux)`.
    args: positional arguments; of arrays, only shapes matter.
    kwargs: keyword arguments.
    num_parameters: how many of the arrays, the first, are parameters. Where one
      of them is used that no scope uses, its line is a scope; and they tell
      along which axis the units of a value lie.
  """
  graph, out_tree = evaluation.trace(fn, args, kwargs)
  given = range(num_parameters)
  if jaxpr.has_scopes(graph):
    used = parameters.used_in_no_scope(graph, given)
    graph = jaxpr.with_lines_as_scopes(graph, used)
  axes = units.axes(graph, given)
  found = (s._replace(units=axes.get(s.key, -1)) for s in sites.find(graph))
  return Traced(graph, out_tree, tuple(found))


def measure(
  traced: Traced,
  taps: ChooseTaps,
  args: tuple[Any, ...],
  kwargs: Mapping[str, Any],
  positions: tuple[int, ...] = (0,),
  has_aux: bool = False,
) -> tuple[Any, tuple[Any, ...], Profile]:
  """Differentiates what was traced and measures its signals.

  Args:
    traced: what `trace` returned.
    taps: as in `probe`.
    args: arrays, in the shapes that were traced.
    kwargs: keyword arguments.
    positions: of the arguments that are differentiated.
    has_aux: as in `probe`.

  Returns:
    The value, or `(value, aux)`; the gradients, one for each position; and the
    profile.
  """
  placed = _place(traced.sites, taps)
  tap_of = {site.key: _tap(site, wanted) for site, wanted in placed}

  def tapped(slots, *args):
    arrays = evaluation.array_leaves((args, kwargs))
    done = evaluation.evaluate(traced.graph, arrays, tap_of, slots)
    result = jax.tree.unflatten(traced.out_tree, done.outputs)
    value, aux = result if has_aux else (result, None)
    return value, (aux, done.parts)

  behind_slots = tuple(i + 1 for i in positions)
  (value, (aux, parts)), (received, *grads) = jax.value_and_grad(
    tapped, argnums=(0, *behind_slots), has_aux=True
  )(_slots(placed), *args)
  return (
    (value, aux) if has_aux else value,
    tuple(grads),
    _profile(placed, parts, received),
  )


def _positions(argnums: int | tuple[int, ...], count: int) -> tuple[int, ...]:
  """The arguments that are differentiated, counted from the first."""
  numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
  for number in numbers:
    if not -count <= number < count:
      raise ValueError(
        f'argnums has {number}; the function was given {count} positional '
        f'arguments, so it must be between {-count} and {count - 1}'
      )
  return tuple(number % count for number in numbers)


# Sites with what each of their paths wants measured.
_Placed = list[tuple[Site, tuple[Taps, ...]]]


def _place(found: Sequence[Site], taps: ChooseTaps) -> _Placed:
  """Asks for the taps of all paths; sites without any are left out."""
  chosen = taps(found)
  wanted = (
    (site, tuple(chosen.get(path, Taps()) for path in site.paths))
    for site in found
  )
  return [
    (site, taps) for site, taps in wanted if any(any(tap) for tap in taps)
  ]


def _measures(wanted: tuple[Taps, ...]) -> tuple[list[Measure], list[Measure]]:
  """The distinct forward and backward measures of a site."""
  forward = dict.fromkeys(taps.forward for taps in wanted if taps.forward)
  backward = dict.fromkeys(taps.backward for taps in wanted if taps.backward)
  return list(forward), list(backward)


def _tap(site: Site, wanted: tuple[Taps, ...]) -> evaluation.Tap:
  """Measures a value, and its cotangent into the gradient of its slot."""
  forward, backward = _measures(wanted)

  @jax.custom_vjp
  def measured_on_the_way_back(x, slot):
    del slot
    return x

  measured_on_the_way_back.defvjp(
    lambda x, slot: (x, None),
    lambda _, ct: (ct, [measure.reduce(ct) for measure in backward]),
  )

  def tap(x, slot, thread):
    value = _units_last(lax.stop_gradient(x), site)
    parts = [measure.reduce(value) for measure in forward]
    return measured_on_the_way_back(x, slot) if backward else x, parts, thread

  return tap


def _units_last(x: Any, site: Site) -> Any:
  return x if site.units == -1 else jnp.moveaxis(x, site.units, -1)


def _slots(placed: _Placed) -> dict[int, Any]:
  """Zeros in the shapes of what is measured on the way back."""

  def slot(site, wanted):
    value = jax.ShapeDtypeStruct(site.shape, site.dtype)
    # By a new function, since JAX keeps what it traced as long as a function.
    shapes = [
      jax.eval_shape(lambda x: measure.reduce(x), value)
      for measure in _measures(wanted)[1]
    ]
    return jax.tree.map(
      lambda s: jnp.zeros(site.lengths + s.shape, s.dtype), shapes
    )

  return {site.key: slot(site, wanted) for site, wanted in placed}


def _profile(placed: _Placed, parts: Any, received: Any) -> Profile:
  """Finishes what was measured; one signal a path."""
  rows = {}
  for site, wanted in placed:
    forward, backward = _measures(wanted)
    finished = [
      {m: m.finish(p) for m, p in zip(measures, of_site[site.key], strict=True)}
      for measures, of_site in ((forward, parts), (backward, received))
    ]
    for path, taps in zip(site.paths, wanted, strict=True):
      if any(taps):
        rows[path] = Signal(
          *(m and done[m] for done, m in zip(finished, taps, strict=True))
        )
  return Profile(tuple(rows), tuple(rows.values()))
