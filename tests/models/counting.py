"""Sizes of models, from shapes alone: nothing is allocated or computed."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np


def shapes(net, in_shape):
  """Returns params and state as shapes."""
  init = lambda key: net.init(key, in_shape)[1:]
  return jax.eval_shape(init, jax.random.key(0))


def drawn(net, in_shape):
  """Returns params of a model without state, drawn without a compilation."""
  rng = np.random.default_rng(0)
  params, state = shapes(net, in_shape)
  assert not jax.tree.leaves(state)
  draw = lambda leaf: (
    rng.standard_normal(leaf.shape, np.float32)
    / math.sqrt(math.prod(leaf.shape[:-1]))
  )
  return jax.tree.map(draw, params), state


def num_params(params):
  """Counts the numbers in a tree."""
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def equations(net, in_shape, **kwargs):
  """Returns what a model computes of one example: `[(scope, equation)]`."""
  params, state = shapes(net, in_shape)
  x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
  apply = functools.partial(net.apply, **kwargs)
  return list(_walk(jax.make_jaxpr(apply)(params, state, x).jaxpr, ''))


def num_multiplications(net, in_shape):
  """Counts multiply-accumulates of convolutions and matrix products."""
  return sum(_multiplications(eqn) for _, eqn in equations(net, in_shape))


def scopes(net, in_shape, **kwargs):
  """Returns all scopes, each once, in the order of the computation."""
  paths = [path for path, _ in equations(net, in_shape, **kwargs)]
  nested = [
    '/'.join(path.split('/')[: n + 1])
    for path in paths
    for n in range(path.count('/') + 1)
  ]
  return tuple(dict.fromkeys(nested))


def within(unit, paths):
  """Returns the scopes at the top of a unit, in order."""
  parts = [path.split('/') for path in paths]
  return [p[1] for p in parts if p[0] == unit and len(p) == 2]


def _walk(jaxpr, prefix):
  for eqn in jaxpr.eqns:
    path = '/'.join(filter(None, [prefix, str(eqn.source_info.name_stack)]))
    yield path, eqn
    for value in eqn.params.values():
      inner = getattr(value, 'jaxpr', None)
      if inner is not None:
        yield from _walk(inner, path)


def _multiplications(eqn):
  if eqn.primitive.name == 'conv_general_dilated':
    summed = eqn.invars[1].aval.shape[:-1]  # The kernel is HWIO.
  elif eqn.primitive.name == 'dot_general':
    summed = eqn.invars[1].aval.shape[:1]
  else:
    return 0
  return math.prod(eqn.outvars[0].aval.shape) * math.prod(summed)
