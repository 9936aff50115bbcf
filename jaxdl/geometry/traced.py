"""A model as a graph: traced at abstract shapes, so that nothing is allocated.

A model is a `jaxdl.layers.Layer`, a function of x, or a function of (params,
x). What it is given has a batch of one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.tracing import jaxpr
from jaxdl.tracing import sites
from jaxdl.tracing.jaxpr import Graph

Shape = tuple[int, ...]
Model = layers.Layer | Callable[..., Any]


class Parameter(NamedTuple):
  """An array among the parameters of a model.

  Attributes:
    key: of the input of the graph that holds it.
    size: how many numbers it has.
  """

  key: int
  size: int


class Traced(NamedTuple):
  """What there is to know of a model at one shape of its input.

  Attributes:
    graph: of the model; its first output is the output of the model.
    sites: the values that leave named scopes, in order.
    x: the key of the input.
    out_shape: of the first output.
    parameters: those that count, without the state of batch norm and the like.
  """

  graph: Graph
  sites: tuple[sites.Site, ...]
  x: int
  out_shape: Shape
  parameters: tuple[Parameter, ...]


def trace(model: Model, in_shape: Shape, params: Any = None) -> Traced:
  """Traces a model as it is at test time.

  Args:
    model: a layer, whose params and state come from its `init`; a function of
      x; or, where params are given, a function of (params, x).
    in_shape: of the input, without the batch.
    params: arrays, or `jax.ShapeDtypeStruct`s, in any nest; leaves that are
      neither are handed on as they are. Of a mapping with an entry `params`,
      such as the variables of Flax, that entry alone counts as parameters.

  Raises:
    ValueError: if the shape is no shape, a layer is given params, or the
      function returns nothing.
  """
  require_shape(in_shape)
  params, state, fn = _as_function(model, in_shape, params)
  x = jax.ShapeDtypeStruct((1, *in_shape), jnp.result_type(float))
  leaves, tree = jax.tree.flatten((params, state))
  abstract = array_leaves((params, state))

  def flat(*arrays):
    *given, x = arrays
    remaining = iter(given)
    filled = [next(remaining) if _is_array(leaf) else leaf for leaf in leaves]
    return fn(*jax.tree.unflatten(tree, filled), x)

  closed = jax.make_jaxpr(flat)(*abstract, x)
  if not closed.out_avals:
    raise ValueError('The function returns no array; return its output.')
  graph = jaxpr.graph(closed)
  *keys, x_key = graph.inputs
  array_keys = iter(keys)
  by_leaf = [next(array_keys) if _is_array(leaf) else None for leaf in leaves]
  counted = jax.tree.leaves(_counted(jax.tree.unflatten(tree, by_leaf)[0]))
  parameters = tuple(Parameter(k, graph.avals[k].size) for k in counted)
  out_shape = closed.out_avals[0].shape
  return Traced(graph, sites.find(graph), x_key, out_shape, parameters)


def array_leaves(tree: Any) -> list[Any]:
  """The leaves of a tree that are arrays, or stand for some."""
  return [leaf for leaf in jax.tree.leaves(tree) if _is_array(leaf)]


def require_shape(in_shape: Shape) -> None:
  """Checks the shape of an input.

  Raises:
    ValueError: if it isn't a sequence of positive integers.
  """
  if not isinstance(in_shape, (tuple, list)) or not all(
    isinstance(n, int) and n > 0 for n in in_shape
  ):
    raise ValueError(
      f'in_shape is the shape of one input without the batch, such as '
      f'(224, 224, 3); got {in_shape!r}.'
    )


def require_own_params(params: Any) -> None:
  """Checks that a layer, which initializes itself, is given no params.

  Raises:
    ValueError: if it is given some.
  """
  if params is not None:
    raise ValueError(
      'A jaxdl layer brings its own params; to use others, pass the function '
      'lambda params, x: layer.apply(params, state, x)[0] instead of it.'
    )


def _as_function(model, in_shape, params):
  """Returns params, state and a function of (params, state, x)."""
  if isinstance(model, layers.Layer):
    require_own_params(params)
    params, state = jax.eval_shape(
      lambda: model.init(jax.random.key(0), tuple(in_shape))[1:]
    )
    apply = lambda params, state, x: model.apply(params, state, x)[0]
    return params, state, apply
  if params is None:
    return (), (), lambda params, state, x: model(x)
  return params, (), lambda params, state, x: model(params, x)


def _counted(params: Any) -> Any:
  if isinstance(params, Mapping) and 'params' in params:
    return params['params']
  return params


def _is_array(leaf: Any) -> bool:
  return hasattr(leaf, 'shape') and hasattr(leaf, 'dtype')
