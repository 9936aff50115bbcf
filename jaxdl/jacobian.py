"""Singular values of the Jacobian, of a whole network or of a part of it.

They are the factors by which a network stretches a small change of its input
and, on the way back, a gradient. A network whose factors are all near one is
dynamically isometric (Pennington et al., 2017,
https://arxiv.org/abs/1711.04735).

  fn = lambda x: net.apply(params, state, x[None])[0][0]
  jacobian.singular_values(fn, x)                   # all of them, exactly
  jacobian.singular_values(fn, image, 10, key=key)  # of any size
  jacobian.spectrum(fn, image, key).mean()          # mean squared one
  jacobian.singular_values(
      *jacobian.between(fn, x, ('hidden/layer', 3), 'readout'))

All functions may be traced, by `jax.jit` and `jax.vmap` too; params are then
best an argument of what is compiled: as constants, hundreds of megabytes take
the compiler ten seconds. The function whose Jacobian is meant needs a
derivative in reverse mode, as training does, and no other.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.krylov import lanczos
from jaxdl.krylov import spectrum as krylov_spectrum
from jaxdl.krylov import vectors
from jaxdl.tracing import evaluation
from jaxdl.tracing import sites
from jaxdl.tracing import statistics

Array = jax.Array

# The name of a scope and, where it lies in scans, the iteration of each,
# outermost first; negative counts from the last.
Place = str | tuple[Any, ...]

# How many products with the Jacobian are computed at once.
_BATCH = 128


class Stretch(NamedTuple):
  """A part of a network, and the point at which it is entered.

  Attributes:
    fn: maps the value at the start of the part to the value at its end.
    x: the value at the start.
  """

  fn: Callable[[Any], Array]
  x: Any


def singular_values(
  fn: Callable[[Any], Any],
  x: Any,
  num: int | None = None,
  *,
  key: Array | None = None,
  steps: int | None = None,
  memory_limit: int = 2**26,
) -> lanczos.SingularValues:
  """The singular values of the Jacobian of `fn` at x.

  If the Jacobian takes no more than `memory_limit` bytes, it is computed, by
  columns or by rows, whichever are fewer, and decomposed: a value that occurs
  several times is there as often. Otherwise the largest are found by
  Golub-Kahan bidiagonalization, which sees a repeated value once, and its
  copies as late as rounding brings them in: some may lack, and smaller values
  stand in their place. With as many steps as the smaller side, none lacks.

  Args:
    fn: maps an array or pytree to an array or pytree.
    x: where, real floating point.
    num: how many, the largest; all min(outputs, inputs) by default.
    key: of the vector that the iteration starts from.
    steps: of the iteration, each with one product with the Jacobian and one
      with its transpose; 2 num + 80 by default. More make the error smaller.
    memory_limit: bytes that the Jacobian may take, in float32 at least; 0 to
      iterate whatever its size.

  Raises:
    ValueError: if x or the output isn't real, `num` or `steps` is out of range,
      or the Jacobian is too large for what was asked.
  """
  jacobian = _linearize(fn, x)
  rank = min(jacobian.shape)
  num_values = rank if num is None else num
  if not 1 <= num_values <= rank:
    raise ValueError(
      f'num must be between 1 and {rank}, the smaller side of the Jacobian; '
      f'got {num_values}.'
    )
  size = jacobian.outputs.size * jacobian.inputs.size * jacobian.dtype.itemsize
  if size <= memory_limit:
    return _from_matrix(jacobian, num_values)
  if num is None or key is None:
    raise ValueError(
      f'The Jacobian is {jacobian.outputs.size} x {jacobian.inputs.size} and '
      f'takes {size} bytes, more than memory_limit={memory_limit}; raise that, '
      'or pass num and key to find the largest singular values.'
    )
  steps = min(rank, 2 * num + 80) if steps is None else steps
  if not num <= steps <= rank:
    raise ValueError(
      f'steps must be between num={num} and {rank}, the smaller side of the '
      f'Jacobian; got {steps}.'
    )
  return _by_iteration(jacobian, num, steps, key)


def spectrum(
  fn: Callable[[Any], Any],
  x: Any,
  key: Array,
  *,
  num_probes: int = 16,
  steps: int = 32,
) -> krylov_spectrum.Spectrum:
  """Estimates how the squared singular values of the Jacobian are distributed.

  Of all min(outputs, inputs) of them, zeros included, `.mean()` and
  `.variance()` are unbiased, with a standard error over the probes, from 2
  steps on; `.density(points, width)` takes more. In float32 squares below 1e-38
  are zero.

  Args:
    fn: maps an array or pytree to an array or pytree.
    x: where, real floating point.
    key: of the probes.
    num_probes: how many, at least 2.
    steps: of the Lanczos iteration, for each probe.

  Raises:
    ValueError: if x or the output isn't real, or there are too few probes.
  """
  jacobian = _linearize(fn, x).tall()

  def squared(vector):
    return jacobian.transposed(jacobian.product(vector))

  estimated = krylov_spectrum.estimate(
    squared,
    jacobian.inputs.size,
    key,
    num_probes=num_probes,
    steps=steps,
    dtype=jacobian.dtype,
  )
  return estimated._replace(nodes=jnp.maximum(estimated.nodes, 0))


def of_layers(
  layers: Sequence[Callable[[Any], Any]],
  x: Any,
  start: int = 0,
  stop: int | None = None,
) -> Stretch:
  """The part `layers[start:stop]` of a network that is a list of functions.

  Args:
    layers: each maps the output of the one before.
    x: the input of the first.
    start: the first layer of the part; its input is what is varied.
    stop: the layer after the part, past the last by default.

  Raises:
    ValueError: if these are no layers in order.
  """
  stop = len(layers) if stop is None else stop
  if not 0 <= start < stop <= len(layers):
    raise ValueError(
      f'0 <= start < stop <= {len(layers)}, the number of layers, must hold; '
      f'got start={start} and stop={stop}.'
    )
  compose = lambda part, x: functools.reduce(lambda h, fn: fn(h), part, x)
  return Stretch(
    functools.partial(compose, tuple(layers[start:stop])),
    compose(layers[:start], x),
  )


def between(
  fn: Callable[[Any], Any],
  x: Any,
  start: Place | None = None,
  stop: Place | None = None,
) -> Stretch:
  """The part of a network from the output of one scope to that of another.

  What reaches the stop past the start, such as a shortcut around it, is held
  fixed. Scopes are those that the probe sees, as `hidden/layer/activation`; one
  in scans, such as that of `layers.repeat`, is given with the iteration of
  each: `('hidden/layer', 3)`, or `('hidden/layer', -1)` for the last.

  Args:
    fn: a network as a function of its input.
    x: its input.
    start: the scope whose output is varied; the input by default.
    stop: the scope whose output is meant; the output of `fn` by default.

  Raises:
    ValueError: if there is no such scope or iteration, or the stop isn't after
      the start.
  """
  graph, out_tree = evaluation.trace(fn, (x,), {})
  found = sites.find(graph)
  first = None if start is None else _locate(found, start)
  last = None if stop is None else _locate(found, stop)
  if first is not None and last is not None and last.order <= first.order:
    raise ValueError(f'stop={stop!r} must come after start={start!r}.')

  def run(x, point):
    """The value at the stop; and that at the start, unless it's given."""
    taps, slots = _taps(first, last, point)
    done = evaluation.evaluate(graph, evaluation.array_leaves(x), taps, slots)
    at_start = None if first is None else first.value(done.parts)
    if last is None:
      return jax.tree.unflatten(out_tree, done.outputs), at_start
    return last.value(done.parts), at_start

  if first is None:
    return Stretch(lambda x: run(x, None)[0], x)
  return Stretch(lambda point: run(x, point)[0], run(x, None)[1])


class _Jacobian(NamedTuple):
  """The Jacobian, by its products with flat vectors."""

  product: lanczos.Product
  transposed: lanczos.Product
  inputs: vectors.Space
  outputs: vectors.Space

  @property
  def shape(self):
    return self.outputs.size, self.inputs.size

  @property
  def dtype(self):
    return jnp.promote_types(self.inputs.dtype, self.outputs.dtype)

  def tall(self):
    """Itself or its transpose, whichever has no more columns than rows."""
    if self.inputs.size <= self.outputs.size:
      return self
    return _Jacobian(self.transposed, self.product, self.outputs, self.inputs)


def _linearize(fn: Callable[[Any], Any], x: Any) -> _Jacobian:
  """The products; those with the Jacobian by transposing the transpose."""
  x = jax.tree.map(jnp.asarray, x)
  inputs = vectors.space('x', x)
  outputs = vectors.space('The output of fn', jax.eval_shape(fn, x))
  dtype = jnp.promote_types(inputs.dtype, outputs.dtype)
  y, pull = jax.vjp(fn, x)
  push = jax.linear_transpose(lambda cotangent: pull(cotangent)[0], y)

  def product(vector):
    (image,) = push(vectors.unflatten(inputs, vector))
    return vectors.flatten(outputs, image).astype(dtype)

  def transposed(vector):
    (image,) = pull(vectors.unflatten(outputs, vector))
    return vectors.flatten(inputs, image).astype(dtype)

  return _Jacobian(product, transposed, inputs, outputs)


def _from_matrix(jacobian: _Jacobian, num: int) -> lanczos.SingularValues:
  tall = jacobian.tall()
  size = tall.inputs.size

  def column(index):
    return tall.product(jax.nn.one_hot(index, size, dtype=tall.dtype))

  indices = jnp.arange(size)
  columns = lax.map(column, indices, batch_size=min(size, _BATCH))
  inverse = statistics.power_of_two_below_inverse(jnp.max(jnp.abs(columns)))
  values = jnp.linalg.svd(columns * inverse, compute_uv=False) / inverse
  rounding = tall.outputs.size * jnp.finfo(values.dtype).eps * values[0]
  return lanczos.SingularValues(values[:num], jnp.full(num, rounding))


def _by_iteration(
  jacobian: _Jacobian, num: int, steps: int, key: Array
) -> lanczos.SingularValues:
  tall = jacobian.tall()
  start_key, restart_key = jax.random.split(key)
  start = jax.random.normal(start_key, (tall.inputs.size,), tall.dtype)
  form = lanczos.bidiagonalize(
    tall.product, tall.transposed, start, tall.outputs.size, steps, restart_key
  )
  return lanczos.singular_values(tall.product, tall.transposed, form, num)


class _Located(NamedTuple):
  """A value that leaves a scope, in one iteration of the scans around it.

  Attributes:
    key: of the value in its graph.
    lengths: of the scans around it.
    iteration: of each.
    order: tells which of two values is computed first.
  """

  key: int
  lengths: tuple[int, ...]
  iteration: tuple[int, ...]
  order: tuple[int, ...]

  def value(self, parts: Any) -> Array:
    """The value among what taps recorded."""
    return parts[self.key][self.iteration]


def _locate(found: Sequence[sites.Site], place: Place) -> _Located:
  name, *iteration = (place,) if isinstance(place, str) else place
  by_path = {path: site for site in found for path in site.paths}
  site = choice.choose('scope', name, by_path)
  if len(iteration) != len(site.lengths) or not all(
    isinstance(i, int) and -length <= i < length
    for i, length in zip(iteration, site.lengths, strict=True)
  ):
    form = ', '.join([repr(name), *(f'0..{n - 1}' for n in site.lengths)])
    raise ValueError(
      f'{place!r}: {name!r} lies in {len(site.lengths)} scans; write '
      + (f'({form}).' if site.lengths else f'{name!r}.')
    )
  counted = tuple(
    i % length for i, length in zip(iteration, site.lengths, strict=True)
  )
  return _Located(site.key, site.lengths, counted, _order(found, site, counted))


def _order(
  found: Sequence[sites.Site], site: sites.Site, iteration: tuple[int, ...]
) -> tuple[int, ...]:
  """Where a scan starts, how far it is, and so on inward; at last the site."""
  order: tuple[int, ...] = ()
  for scan, i in zip(site.scans, iteration, strict=True):
    first = next(n for n, other in enumerate(found) if scan in other.scans)
    order += (first, scan.length - 1 - i if scan.reverse else i)
  return (*order, found.index(site))


def _taps(first: _Located | None, last: _Located | None, point: Any):
  """Taps that record two values, and put a point in place of the first.

  Returns:
    The taps; and their slots: whether the value is replaced, of the shape of
    the scans around it.
  """
  taps, slots = {}, {}
  for located in filter(None, (first, last)):
    is_replaced = located is first and point is not None
    here = jnp.zeros(located.lengths, bool)
    if is_replaced:
      here = here.at[located.iteration].set(True)
    if located.key not in taps:
      taps[located.key] = _tap(point if is_replaced else None)
      slots[located.key] = here
  return taps, slots


def _tap(point: Any) -> evaluation.Tap:
  def tap(x, here, thread):
    x = x if point is None else jnp.where(here, point, x)
    return x, x, thread

  return tap
