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
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.layers import rematerialization


class Residual(NamedTuple):
  """Params, or state, of a residual layer."""

  branch: base.Params
  shortcut: base.Params


class Repeated(NamedTuple):
  """Params, or state, of a repeated layer.

  Attributes:
    layer: of all its copies, stacked on a leading axis.
  """

  layer: base.Params


class Highway(NamedTuple):
  """Params, or state, of a highway layer."""

  transform: base.Params
  gate: base.Params


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


def residual(
  layer: base.Layer,
  shortcut: base.Layer | None = None,
  *,
  scale: base.Scalar = 1.0,
) -> base.Layer:
  """`y = shortcut(x) + scale * layer(x)`; the shortcut is x by default.

  The scopes of `layer` stay as they are; those of a shortcut that isn't the
  identity lie in `shortcut`. See He et al., 2016,
  https://arxiv.org/abs/1603.05027.

  Args:
    layer: the branch.
    shortcut: a layer whose output has the shape of the branch's.
    scale: of the branch; it may be traced.

  Raises:
    ValueError: if the shapes of branch and shortcut differ.
  """
  skip_name = 'shortcut' if shortcut else None
  shortcut = shortcut or identity()

  def init(key, in_shape):
    out, params, state = init_child(None, layer, 0, key, in_shape)
    shape, shortcut_params, shortcut_state = init_child(
      skip_name, shortcut, 1, key, in_shape
    )
    _require_equal('the branch and its shortcut', out, shape)
    return (
      out,
      Residual(params, shortcut_params),
      Residual(state, shortcut_state),
    )

  def apply(params, state, x, *, train=False, key=None):
    given = dict(train=train, key=key)
    y, branch_state = apply_child(
      None, layer, 0, params.branch, state.branch, x, **given
    )
    skip, shortcut_state = apply_child(
      skip_name, shortcut, 1, params.shortcut, state.shortcut, x, **given
    )
    y = skip + jnp.asarray(scale, y.dtype) * y
    return y, Residual(branch_state, shortcut_state)

  return base.Layer(init, apply)


def highway(
  transform: base.Layer,
  gate: base.Layer | None = None,
  *,
  gate_bias: base.Scalar = -2.0,
) -> base.Layer:
  """`y = H(x) T(x) + x (1 - T(x))`, where T = sigmoid(gate).

  The scopes of `transform` stay as they are; those of the gate lie in `gate`.
  See Srivastava et al., 2015, https://arxiv.org/abs/1505.00387.

  Args:
    transform: H; it keeps the shape of its input.
    gate: computes T before the sigmoid, of the same shape. By default a dense
      layer for vectors, a convolution of 3x3 for images.
    gate_bias: initial bias of the default gate; where it is negative, the layer
      starts by carrying x. It may be traced.

  Raises:
    ValueError: if `transform` or `gate` changes the shape.
  """
  gate = gate or _default_gate(gate_bias)

  def init(key, in_shape):
    out, params, state = init_child(None, transform, 0, key, in_shape)
    shape, gate_params, gate_state = init_child('gate', gate, 1, key, in_shape)
    _require_equal('input and output of the transform', in_shape, out)
    _require_equal('input and output of the gate', in_shape, shape)
    return out, Highway(params, gate_params), Highway(state, gate_state)

  def apply(params, state, x, *, train=False, key=None):
    given = dict(train=train, key=key)
    h, transform_state = apply_child(
      None, transform, 0, params.transform, state.transform, x, **given
    )
    logit, gate_state = apply_child(
      'gate', gate, 1, params.gate, state.gate, x, **given
    )
    y = x + jax.nn.sigmoid(logit) * (h - x)
    return y, Highway(transform_state, gate_state)

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
      _require_equal(
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


def _default_gate(bias: base.Scalar) -> base.Layer:
  bias_init = initializers.constant(bias)

  def gate(shape):
    if len(shape) == 1:
      return linear.dense(shape[-1], bias_init=bias_init)
    return linear.conv(shape[-1], 3, bias_init=bias_init)

  def init(key, in_shape):
    return gate(in_shape).init(key, in_shape)

  def apply(params, state, x, *, train=False, key=None):
    return gate(x.shape[1:]).apply(params, state, x, train=train, key=key)

  return base.Layer(init, apply)


def init_child(
  name: str | None,
  layer: base.Layer,
  index: int,
  key: base.Key,
  in_shape: base.Shape,
) -> tuple[base.Shape, base.Params, base.State]:
  """Initializes one of the layers of a combinator, with a key of its own.

  Args:
    name: of its scope; None where the combinator opens none.
    layer: the child.
    index: of the child, which no other one has.
    key: of the combinator.
    in_shape: of the child.

  Raises:
    LayerError: of that name, if the layer cannot take what it is given.
  """
  with contextlib.nullcontext() if name is None else base.naming(name):
    return layer.init(jax.random.fold_in(key, index), in_shape)


def apply_child(
  name: str | None,
  layer: base.Layer,
  index: int,
  params: base.Params,
  state: base.State,
  x: base.Array,
  *,
  train: bool,
  key: base.Key | None,
) -> tuple[base.Array, base.State]:
  """Applies what `init_child` initialized; the key may be None."""
  with contextlib.nullcontext() if name is None else jax.named_scope(name):
    own_key = None if key is None else jax.random.fold_in(key, index)
    return layer.apply(params, state, x, train=train, key=own_key)


def _child_names(layers, names) -> tuple[str | None, ...]:
  if names is None:
    return tuple(str(index) for index in range(len(layers)))
  if len(names) != len(layers):
    raise ValueError(
      f'{len(layers)} layers need as many names, got {len(names)}: '
      f'{", ".join(map(str, names))}.'
    )
  return tuple(names)


def _require_equal(what: str, one: base.Shape, other: base.Shape) -> None:
  if tuple(one) != tuple(other):
    raise ValueError(f'The shapes of {what} differ: {one} and {other}.')
