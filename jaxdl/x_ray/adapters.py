"""Any model as a pure function of its parameters, its modules as scopes."""

from collections.abc import Callable, Mapping
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.x_ray import scopes

# The collection of a Linen model's variables that is differentiated.
_LINEN_PARAMETERS = 'params'


class Adapted(NamedTuple):
  """A model and its loss, in one form for all libraries.

  Attributes:
    params: the arrays that are differentiated.
    rest: the other arrays of the model: statistics, counters, keys.
    names: of the parameters: `encoder/dense/kernel`.
    loss: maps `(params, rest, *args)` to what the user's loss returns.
  """

  params: tuple[jax.Array, ...]
  rest: tuple[jax.Array, ...]
  names: tuple[str, ...]
  loss: Callable[..., Any]


def adapt(loss_fn: Callable[..., Any], model: Any) -> Adapted:
  """Adapts a model of any library.

  Args:
    loss_fn: maps `(model, *args)` to a scalar, or to `(scalar, aux)`.
    model: an `nnx.Module`, an `equinox.Module`, a list or dictionary of these,
      the variables of a Linen or Haiku model, or any pytree of parameters.

  Raises:
    TypeError: if the loss can't be called, or the model has no parameters.
  """
  if not callable(loss_fn):
    raise TypeError(
      f'the loss is {_kind(loss_fn)}; give a function of (model, *batch) that '
      'returns a scalar'
    )
  nnx, equinox = map(sys.modules.get, ('flax.nnx', 'equinox'))
  if nnx is not None and _holds(model, nnx.Module):
    adapted = _adapt_nnx(loss_fn, model)
  elif equinox is not None and _holds(model, equinox.Module):
    adapted = _adapt_equinox(loss_fn, model)
  elif _has_collections(model):
    adapted = _adapt_linen(loss_fn, model)
  else:
    adapted = _adapt(model, loss_fn)
  if not adapted.params:
    raise TypeError(
      f'the model is {_kind(model)}, in which there are no parameters: arrays '
      'of floating point; give a module of NNX or Equinox, or what a model of '
      'Linen or Haiku is applied to: its variables, or the pytree of its '
      'parameters'
    )
  return adapted


def _holds(model: Any, kind: type) -> bool:
  """Whether it is of this kind, or a list or dictionary of such."""
  if isinstance(model, kind):
    return True
  if isinstance(model, Mapping):
    model = tuple(model.values())
  return isinstance(model, list | tuple) and any(
    _holds(part, kind) for part in model
  )


def _has_collections(model: Any) -> bool:
  """Whether it is a dictionary of Linen's collections of variables."""
  return (
    isinstance(model, Mapping)
    and _LINEN_PARAMETERS in model
    and all(isinstance(collection, Mapping) for collection in model.values())
  )


def _adapt_nnx(loss_fn: Callable[..., Any], model: Any) -> Adapted:
  from flax import nnx

  definition, *states = nnx.split(model, nnx.Param, ...)

  def loss(states, *args):
    merged = nnx.merge(definition, *states)
    with scopes.opened_by(merged, nnx.Module):
      return loss_fn(merged, *args)

  return _adapt(tuple(states), loss, lambda path: path[0].idx == 0, skip=1)


def _adapt_equinox(loss_fn: Callable[..., Any], model: Any) -> Adapted:
  import equinox

  def loss(model, *args):
    with scopes.opened_by(model, equinox.Module):
      return loss_fn(model, *args)

  return _adapt(model, loss)


def _adapt_linen(loss_fn: Callable[..., Any], model: Any) -> Adapted:
  """Of the collections, `batch_stats` and others are not differentiated."""
  is_parameter = lambda path: path[0].key == _LINEN_PARAMETERS
  return _adapt(model, loss_fn, is_parameter, skip=1)


def _adapt(
  tree: Any,
  loss_fn: Callable[..., Any],
  is_parameter: Callable[[Any], bool] = lambda path: True,
  skip: int = 0,
) -> Adapted:
  """Splits a pytree into parameters, other arrays, and what is no array.

  Args:
    tree: the model.
    loss_fn: of the tree and further arguments.
    is_parameter: whether a leaf, by its path, may be a parameter; it is one if
      it is an array of floating point.
    skip: the first steps of a path that are no part of a parameter's name.
  """
  leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
  arrays = {i: x for i, (_, x) in enumerate(leaves) if _is_array(x)}
  trained = [
    i
    for i, x in arrays.items()
    if is_parameter(leaves[i][0]) and _is_inexact(x)
  ]
  others = [i for i in arrays if i not in trained]
  fixed = [None if i in arrays else x for i, (_, x) in enumerate(leaves)]

  def loss(params, rest, *args):
    filled = list(fixed)
    for i, x in zip([*trained, *others], [*params, *rest], strict=True):
      filled[i] = x
    return loss_fn(jax.tree.unflatten(structure, filled), *args)

  return Adapted(
    tuple(jnp.asarray(arrays[i]) for i in trained),
    tuple(jnp.asarray(arrays[i]) for i in others),
    tuple(_name(leaves[i][0][skip:]) for i in trained),
    loss,
  )


def _is_array(x: Any) -> bool:
  """Whether it is one; a Linen module may have a `dtype` too."""
  return hasattr(x, 'dtype') and hasattr(x, 'shape')


def _is_inexact(x: Any) -> bool:
  return jnp.issubdtype(x.dtype, jnp.inexact)


def _name(path: Any) -> str:
  """`encoder/dense/kernel`, without what libraries add to it."""
  steps = jax.tree_util.keystr(path, simple=True, separator='/').split('/')
  if path and isinstance(path[-1], jax.tree_util.GetAttrKey) and len(steps) > 1:
    # NNX keeps an array in a variable; Haiku separates methods by a tilde.
    steps = steps[:-1] if steps[-1] in ('value', 'raw_value') else steps
  return '/'.join(step for step in steps if step != '~')


def _kind(x: Any) -> str:
  return 'None' if x is None else f'of type {type(x).__name__}'
