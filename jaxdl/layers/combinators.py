"""Combinators: layers made of layers.

A combinator hands each child its own key, derived by `fold_in` and only where
there is one. The derivation for a child that draws nothing is dead code, which
the compiler drops.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import rematerialization


class Repeated(NamedTuple):
  """Params, or state, of a repeated layer.

  Attributes:
    layer: of all its copies, stacked on a leading axis.
  """

  layer: base.Params


def serial(
  *layers: base.Layer, names: Sequence[str | None] | None = None
) -> base.Layer:
  """Composes layers in order; params and state are tuples, one entry a layer.

  Args:
    *layers: each takes the output of the one before.
    names: the scope of each, or None where it has its own; the index by
      default.

  Raises:
    ValueError: if there isn't a name for each layer.
  """
  names = _child_names(layers, names)

  def init(key, in_shape):
    shape, params, state = in_shape, [], []
    for index, (name, layer) in enumerate(zip(names, layers, strict=True)):
      shape, layer_params, layer_state = init_child(
        name, layer, index, key, shape
      )
      params.append(layer_params)
      state.append(layer_state)
    return shape, tuple(params), tuple(state)

  def apply(params, state, x, *, train=False, key=None):
    new_state = []
    children = zip(names, layers, params, state, strict=True)
    for index, (name, layer, layer_params, layer_state) in enumerate(children):
      x, layer_state = apply_child(
        name, layer, index, layer_params, layer_state, x, train=train, key=key
      )
      new_state.append(layer_state)
    return x, tuple(new_state)

  return base.Layer(init, apply)


def named(layers: Mapping[str, base.Layer]) -> base.Layer:
  """Composes layers in order, each in the scope of its name, as `serial` does.

  Args:
    layers: by name; each takes the output of the one before.
  """
  return serial(*layers.values(), names=tuple(layers))


def _concatenate(ys: Sequence[base.Array]) -> base.Array:
  return jnp.concatenate(ys, axis=-1)


def parallel(
  *layers: base.Layer,
  combine: Callable[[Sequence[base.Array]], base.Array] = _concatenate,
  names: Sequence[str | None] | None = None,
) -> base.Layer:
  """Applies layers to one input, and combines what they return.

  Args:
    *layers: each takes the same input.
    combine: maps the list of outputs, each with a batch axis, to the output;
      by default it concatenates their last axes.
    names: as in `serial`.

  Raises:
    ValueError: if there isn't a name for each layer.
  """
  names = _child_names(layers, names)

  def init(key, in_shape):
    children = [
      init_child(name, layer, index, key, in_shape)
      for index, (name, layer) in enumerate(zip(names, layers, strict=True))
    ]
    shapes, params, state = zip(*children, strict=True)
    dtype = jnp.result_type(float)
    ys = [jax.ShapeDtypeStruct((1, *shape), dtype) for shape in shapes]
    return jax.eval_shape(combine, ys).shape[1:], params, state

  def apply(params, state, x, *, train=False, key=None):
    ys, new_state = [], []
    children = zip(names, layers, params, state, strict=True)
    for index, (name, layer, layer_params, layer_state) in enumerate(children):
      y, layer_state = apply_child(
        name, layer, index, layer_params, layer_state, x, train=train, key=key
      )
      ys.append(y)
      new_state.append(layer_state)
    return combine(ys), tuple(new_state)

  return base.Layer(init, apply)


def identity() -> base.Layer:
  """Returns its input."""

  def init(key, in_shape):
    del key
    return in_shape, (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    return x, state

  return base.Layer(init, apply)


def repeat(
  layer: base.Layer, n: int, *, rematerialize: bool = False
) -> base.Layer:
  """Composes `n` copies of a layer, each with its own params and state.

  Equal to `serial(*[layer] * n)`, but as one `jax.lax.scan` whose body is
  traced and compiled once, in the scope `layer`. Params and state are those of
  `layer` with a leading axis of size `n`, in a `Repeated`.

  Args:
    layer: it keeps the shape and the dtype of its input.
    n: how many, 0 or more.
    rematerialize: whether the backward pass computes activations anew, from
      those at the ends of about sqrt(n) equal runs of copies, so that memory
      grows with sqrt(n), for a second forward pass. As many as divide `n`: of a
      prime number, the run is one copy. See Chen et al., 2016,
      https://arxiv.org/abs/1604.06174.

  Raises:
    ValueError: if `n` is negative, or the layer changes the shape.
  """
  if n < 0:
    raise ValueError(f'n must be at least 0, got {n}.')

  def init(key, in_shape):
    def init_one(key):
      out_shape, params, state = layer.init(key, in_shape)
      require_equal_shapes(
        'input and output of a repeated layer', in_shape, out_shape
      )
      return params, state

    with base.naming('layer'):
      params, state = jax.vmap(init_one)(jax.random.split(key, n))
    return in_shape, Repeated(params), Repeated(state)

  def apply(params, state, x, *, train=False, key=None):
    def step(x, child):
      layer_params, layer_state, layer_key = child
      with jax.named_scope('layer'):
        return layer.apply(
          layer_params, layer_state, x, train=train, key=layer_key
        )

    keys = None if key is None else jax.random.split(key, n)
    children = (params.layer, state.layer, keys)
    if rematerialize and n:
      x, state = rematerialization.scan_in_runs(step, x, children, n)
    else:
      x, state = jax.lax.scan(step, x, children, length=n)
    return x, Repeated(state)

  return base.Layer(init, apply)


def scope(name: str, layer: base.Layer) -> base.Layer:
  """The same layer, in a scope of the given name."""

  def init(key, in_shape):
    with base.naming(name):
      return layer.init(key, in_shape)

  def apply(params, state, x, *, train=False, key=None):
    with jax.named_scope(name):
      return layer.apply(params, state, x, train=train, key=key)

  return base.Layer(init, apply)


def init_child(
  name: str | None,
  layer: base.Layer,
  index: int | None,
  key: base.Key,
  in_shape: base.Shape,
) -> tuple[base.Shape, base.Params, base.State]:
  """Initializes one of the layers of a combinator, with a key of its own.

  Args:
    name: of its scope; None where the combinator opens none.
    layer: the child.
    index: of the child, which no other one has; None gives it the combinator's
      key, which no other one may use then.
    key: of the combinator.
    in_shape: of the child.

  Raises:
    LayerError: of that name, if the layer cannot take what it is given.
  """
  with contextlib.nullcontext() if name is None else base.naming(name):
    return layer.init(_own_key(key, index), in_shape)


def apply_child(
  name: str | None,
  layer: base.Layer,
  index: int | None,
  params: base.Params,
  state: base.State,
  x: base.Array,
  *,
  train: bool,
  key: base.Key | None,
) -> tuple[base.Array, base.State]:
  """Applies what `init_child` initialized; the key may be None."""
  with contextlib.nullcontext() if name is None else jax.named_scope(name):
    own_key = None if key is None else _own_key(key, index)
    return layer.apply(params, state, x, train=train, key=own_key)


def _own_key(key: base.Key, index: int | None) -> base.Key:
  return key if index is None else jax.random.fold_in(key, index)


def _child_names(layers, names) -> tuple[str | None, ...]:
  if names is None:
    return tuple(str(index) for index in range(len(layers)))
  if len(names) != len(layers):
    raise ValueError(
      f'{len(layers)} layers need as many names, got {len(names)}: '
      f'{", ".join(map(str, names))}.'
    )
  return tuple(names)


def require_equal_shapes(what: str, one: base.Shape, other: base.Shape) -> None:
  """Demands that two shapes, called `what` in the message, are equal.

  Raises:
    ValueError: if they differ.
  """
  if tuple(one) != tuple(other):
    raise ValueError(f'The shapes of {what} differ: {one} and {other}.')
