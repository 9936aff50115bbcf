"""Backpropagation: local derivatives, multiplied layer by layer.

Claim: with x_{i+1} = f_i(x_i, w_i), the recursions dz/dw_i = dz/dx_{i+1} ·
dx_{i+1}/dw_i and dz/dx_i = dz/dx_{i+1} · dx_{i+1}/dx_i give the gradient of the
whole network from what each layer knows of itself. The first updates the
parameters, the second carries the error back.

Source: Linnainmaa, 1970 (reverse accumulation); Rumelhart, Hinton and Williams,
1986; batch norm: Ioffe and Szegedy, 2015, section 3.

Rule: in float64 the recursions, with local derivatives derived by hand, agree
with jax.grad to 1e-10 of the largest derivative, and jax.grad with central
differences to 1e-6; a step along -dz/dw lowers the loss by what dz/dw predicts,
to 1%; and where dz/dx is cut, the parameters below get exactly nothing, and
those above what they get without the cut, to 1e-10.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import backpropagation as by_hand
from jaxdl import training
from jaxdl.double_precision import double_precision
from jaxdl.report import figures
import matplotlib
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

Change = Callable[[Any], Any]

_SHAPE, _BATCH, _CLASSES = (6, 6, 2), 5, 3
_DIFFERENCE = 1e-5  # Of the central differences.
_STEP = 1e-4  # Down the gradient.
_NETWORK = {
  'convolution': by_hand.conv(4, 3),
  'batch norm': by_hand.batch_norm(),
  'tanh': by_hand.tanh(),
  'residual': by_hand.residual(by_hand.conv(4, 3)),
  'max pooling': by_hand.max_pool(),
  'average pooling': by_hand.average_pool(),
  'dense': by_hand.dense(_CLASSES),
}
_WITH_PARAMETERS = ['convolution', 'batch norm', 'residual', 'dense']
_CUT = 'residual'  # Where the error is cut off: what enters it is held.


def measure(num_seeds: int) -> xr.Dataset:
  """Computes every derivative in three ways, on random networks and images.

  Args:
    num_seeds: networks.

  Returns:
    Over `layer` and `seed`: `parameter_error` and `cotangent_error`, the
    largest difference to `jax.grad` over the largest derivative of the layer;
    `difference_error`, of central differences along a random direction of the
    layer's parameters, relative. Over `seed`: `decrease_ratio`, by how much a
    step lowers the loss over what the gradient predicts; `below_cut`, the
    largest dz/dw there with the error cut off; `above_cut`, the largest
    relative error of dz/dw there.
  """
  with double_precision():
    found = [_measure_one(seed) for seed in range(num_seeds)]
  return xr.concat(found, 'seed').assign_coords(seed=range(num_seeds))


def _measure_one(seed: int) -> xr.Dataset:
  rng = np.random.default_rng(seed)
  x = jnp.asarray(rng.normal(size=(_BATCH, *_SHAPE)))
  labels = jnp.asarray(rng.integers(_CLASSES, size=_BATCH))
  params = _params(rng)
  truth = _differentiate(params, x, labels)
  ct = by_hand.cross_entropy_cotangent(
    np.asarray(truth.inputs['output']), np.asarray(labels)
  )
  grads, cotangents = by_hand.backward(_NETWORK, params, truth.inputs, ct)
  loss = lambda params: _value(params, x, labels)
  each = lambda fn, names: [fn(n) if n in names else np.nan for n in _NETWORK]
  errors = {
    'parameter_error': each(
      lambda n: _error(grads[n], truth.grads[n]), _WITH_PARAMETERS
    ),
    'cotangent_error': each(
      lambda n: _error(cotangents[n], truth.cotangents[n]), _NETWORK
    ),
    'difference_error': each(
      lambda n: _difference_error(loss, params, truth.grads, n, rng),
      _WITH_PARAMETERS,
    ),
  }
  names = list(_NETWORK)
  where = names.index(_CUT)
  largest = lambda part: _largest([truth.cut_grads[name] for name in part])
  return xr.Dataset(
    {
      **{name: ('layer', values) for name, values in errors.items()},
      'decrease_ratio': _decrease_ratio(loss, params, truth.grads),
      'below_cut': largest(names[:where]),
      'above_cut': max(
        _error(truth.cut_grads[name], truth.grads[name])
        for name in names[where:]
        if name in _WITH_PARAMETERS
      ),
    },
    {'layer': names},
  )


class _Truth(NamedTuple):
  """What JAX makes of the network."""

  inputs: dict[str, Any]  # What enters each layer, and the output.
  grads: dict[str, Any]  # dz/dw_i
  cotangents: dict[str, Any]  # dz/dx_i
  cut_grads: dict[str, Any]  # dz/dw_i, the error being cut off.


@jax.jit
def _differentiate(params: Any, x: Any, labels: Any) -> _Truth:
  inputs = by_hand.forward(_NETWORK, params, x)
  still = {name: jnp.zeros_like(inputs[name]) for name in _NETWORK}
  grads, cotangents = jax.grad(
    lambda params, moved: _loss(params, _movements(moved), x, labels), (0, 1)
  )(params, still)
  held = {_CUT: jax.lax.stop_gradient}
  cut = jax.grad(lambda params: _loss(params, held, x, labels))(params)
  return _Truth(inputs, grads, cotangents, cut)


@jax.jit
def _value(params: Any, x: Any, labels: Any) -> Any:
  return _loss(params, {}, x, labels)


def _params(rng: np.random.Generator) -> dict[str, Any]:
  """Draws all parameters, so that no scale is 1 and no bias 0."""
  params: dict[str, Any] = {}
  shape: tuple[int, ...] = _SHAPE
  for name, local in _NETWORK.items():
    shape, drawn, _ = local.layer.init(jax.random.key(0), shape)
    params[name] = jax.tree.map(
      lambda w: jnp.asarray(w + 0.3 * rng.normal(size=w.shape)), drawn
    )
  return params


def _movements(moved: Mapping[str, Any]) -> dict[str, Change]:
  return {name: functools.partial(jnp.add, by) for name, by in moved.items()}


def _loss(
  params: Any, changes: Mapping[str, Change], x: Any, labels: Any
) -> Any:
  """The loss, where what enters a layer is changed first."""
  for name, local in _NETWORK.items():
    x = changes[name](x) if name in changes else x
    _, _, state = local.layer.init(jax.random.key(0), x.shape[1:])
    x, _ = local.layer.apply(params[name], state, x, train=True)
  return training.loss.cross_entropy(x, labels)


def _error(found: Any, truth: Any) -> float:
  difference = jax.tree.map(lambda a, b: np.asarray(a) - b, found, truth)
  return _largest(difference) / _largest(truth)


def _largest(tree: Any) -> float:
  return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


def _difference_error(loss, params, grads, name: str, rng) -> float:
  """Compares the slope along a random direction of one layer's parameters."""
  draw = lambda w: jnp.asarray(rng.normal(size=w.shape))
  direction = jax.tree.map(draw, params[name])
  moved = lambda by: {
    **params,
    name: jax.tree.map(lambda w, d: w + by * d, params[name], direction),
  }
  slope = float(loss(moved(_DIFFERENCE)) - loss(moved(-_DIFFERENCE)))
  slope /= 2 * _DIFFERENCE
  products = jax.tree.map(lambda g, d: jnp.sum(g * d), grads[name], direction)
  return abs(slope / float(sum(jax.tree.leaves(products))) - 1)


def _decrease_ratio(loss, params, grads) -> float:
  squares = sum(float(jnp.sum(g * g)) for g in jax.tree.leaves(grads))
  stepped = jax.tree.map(lambda w, g: w - _STEP * g, params, grads)
  return float(loss(params) - loss(stepped)) / (_STEP * squares)


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  kinds = lambda name, layers: {
    layer: data[name].sel(layer=layer).values for layer in layers
  }
  return [
    atlas.Claim(
      'dz/dw_i is dz/dx_{i+1} times the local derivative by w_i',
      'largest error of the recursion against jax.grad, relative',
      atlas.at_most(1e-10),
      kinds('parameter_error', _WITH_PARAMETERS),
      every=True,
    ),
    atlas.Claim(
      'dz/dx_i is dz/dx_{i+1} times the local derivative by x_i',
      'largest error of the recursion against jax.grad, relative',
      atlas.at_most(1e-10),
      kinds('cotangent_error', _NETWORK),
      every=True,
    ),
    atlas.Claim(
      'both are the slope of the loss',
      'error of jax.grad against central differences, relative',
      atlas.at_most(1e-6),
      kinds('difference_error', _WITH_PARAMETERS),
      every=True,
    ),
    atlas.Claim(
      'dz/dw updates the parameters: a step against it lowers the loss',
      'decrease of the loss over the step size times |dz/dw|²',
      atlas.between(0.99, 1.01),
      {'': data['decrease_ratio'].values},
      every=True,
    ),
    atlas.Claim(
      'dz/dx carries the error back: where it is cut, nothing arrives below',
      'largest |dz/dw| below the cut',
      atlas.between(0, 0),
      {'': data['below_cut'].values},
      every=True,
    ),
    atlas.Claim(
      'and the layers above learn as before',
      'largest error of dz/dw above the cut against that without it, relative',
      atlas.at_most(1e-10),
      {'': data['above_cut'].values},
      every=True,
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the errors of each layer, and what rounding allows.

  Args:
    data: what `measure` returned.
  """
  names = {
    'parameter_error': 'dz/dw by hand',
    'cotangent_error': 'dz/dx by hand',
    'difference_error': 'central differences',
  }
  with matplotlib.rc_context(figures.STYLE):
    figure = figure_lib.Figure(figsize=(7.0, 3.2), layout='constrained')
    axes = figure.subplots()
    for i, (name, label) in enumerate(names.items()):
      x = np.arange(data.sizes['layer']) + 0.15 * (i - 1)
      values = np.maximum(data[name].transpose('seed', 'layer').values, 1e-18)
      axes.plot(
        np.broadcast_to(x, values.shape).T,
        values.T,
        'o',
        color=figures.PALETTE[i],
        markersize=4,
        label=[label, *['_'] * (len(values) - 1)],
      )
    axes.axhline(
      np.finfo(float).eps,
      color='#555555',
      lw=0.8,
      ls='--',
      label='rounding of float64',
    )
    axes.set_yscale('log')
    axes.set_ylabel('relative error against jax.grad')
    ticks = [str(name).replace(' ', '\n') for name in data['layer'].values]
    axes.set_xticks(range(len(ticks)), ticks)
    figure.legend(loc='outside lower center', ncols=4)
  return figure


FACT = atlas.Fact(
  formulas=(
    r'\frac{\partial z}{\partial w_i} = \frac{\partial z}{\partial x_{i+1}} '
    r'\cdot \frac{\partial x_{i+1}}{\partial w_i}',
    r'\frac{\partial z}{\partial x_i} = \frac{\partial z}{\partial x_{i+1}} '
    r'\cdot \frac{\partial x_{i+1}}{\partial x_i}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
