"""Network in network: 1x1 convolutions are an MLP, and an average is a head.

Claim: an mlpconv layer, a convolution and convolutions of 1x1 after it, is one
multilayer perceptron that slides over the image; averaging a map for each class
over space in place of a fully connected head saves most of its parameters, and
overfits less.

Source: Lin, Chen and Yan, 2014, arXiv:1312.4400, sections 3.1 and 3.2.

Rule: in float64 output and derivatives of mlpconv are those of the perceptron,
applied to each window apart, to 1e-12 of the largest; the fully connected head,
with and without a hidden layer, has at least 5 times as many parameters; after
20 epochs of 500 images, with batch norm, the gap of training and test accuracy
is larger with it by at least 2 points, and test accuracy lower by at least 1,
each at its best learning rate.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import geometry
from jaxdl import laboratory
from jaxdl import layers
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.double_precision import double_precision
from jaxdl.laboratory import networks
from jaxdl.layers import initializers
from jaxdl.models import units
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_KERNEL, _FEATURES = 3, (6, 5, 4)  # Of the mlpconv that is compared.
_IMAGES = (4, 7, 7, 3)
_PARTS = ('output', 'derivative by x', 'derivative by parameters')
_AVERAGE = 'average of class maps'
_HEADS = (_AVERAGE, 'fully connected', 'with a hidden layer')
_CONNECTED = _HEADS[1:]
_HIDDEN = 64  # Of the head with a hidden layer.
_MAP = (8, 8, 192)  # What the head of the paper's network for CIFAR takes.
_NUM_TRAIN, _BATCH = 500, 50
_WINDOW = 10  # Batches over which a loss is averaged.


def measure(
  num_seeds: int,
  *,
  width: int = 8,
  num_steps: int = 200,
  learning_rates: Sequence[float] = (0.1, 0.3),
) -> xr.Dataset:
  """Compares mlpconv with the perceptron, and heads with each other.

  Args:
    num_seeds: draws, and networks of each kind.
    width: channels of the first of two mlpconv layers.
    num_steps: of training, ten an epoch.
    learning_rates: each kind is reported at its best one.

  Returns:
    `error`, over `part` and `seed`, over the largest; over `head`:
    `parameters`, of a head on a map of 8x8x192; over `seed` too
    `train_accuracy`, `test_accuracy`, and `loss` over `step`.
  """
  with double_precision():
    errors = np.array([_errors(seed) for seed in range(num_seeds)])
  whole = preprocessing.downsample(
    preprocessing.preprocess(sources.load(), 'channel_standard'), 2
  )
  dataset = sources.first(whole, _NUM_TRAIN)
  found = []
  for head in _HEADS:
    record = laboratory.train(
      {
        'width': [width],
        'batch_size': [_BATCH],
        'learning_rate': learning_rates,
        'seed': range(num_seeds),
      },
      dataset,
      num_steps,
      make_model=functools.partial(_network, head),
      layerwise=False,
      evaluate=networks.on_both_splits,
    )
    best = laboratory.at_best_rate(record, ())
    kept = ['loss', 'train_accuracy', 'test_accuracy', 'learning_rate']
    found.append(best[kept].assign(parameters=_count(head)))
  return (
    xr.concat(found, 'head')
    .assign(error=(('seed', 'part'), errors))
    .assign_coords(head=list(_HEADS), part=list(_PARTS))
  )


def _errors(seed: int) -> list[float]:
  """Compares mlpconv with the perceptron on one draw; one number a part."""
  rng = np.random.default_rng(seed)
  draw = lambda shape: jnp.asarray(rng.normal(size=shape))
  mlpconv = layers.mlpconv(
    _FEATURES,
    _KERNEL,
    activation=layers.activation('tanh'),
    padding='VALID',
  )
  _, initial, state = mlpconv.init(jax.random.key(seed), _IMAGES[1:])
  params = jax.tree.map(lambda w: draw(w.shape) / np.sqrt(w.size), initial)
  x = draw(_IMAGES)
  y, pull_back = jax.vjp(
    lambda params, x: mlpconv.apply(params, state, x)[0], params, x
  )
  expected, expected_back = jax.vjp(_slide, params, x)
  ct = draw(y.shape)
  by_params, by_x = pull_back(ct)
  expected_params, expected_x = expected_back(ct)
  return [
    _difference(y, expected),
    _difference(by_x, expected_x),
    _difference(by_params, expected_params),
  ]


@jax.jit
def _slide(params: Any, x: jax.Array) -> jax.Array:
  """The perceptron on each window, by products of matrices alone."""
  is_conv = lambda node: isinstance(node, layers.ConvParams)
  dense = jax.tree.leaves(params, is_leaf=is_conv)
  height, width = (side - _KERNEL + 1 for side in x.shape[1:3])

  def perceptron(i, j):
    window = jax.lax.dynamic_slice_in_dim(x, i, _KERNEL, 1)
    window = jax.lax.dynamic_slice_in_dim(window, j, _KERNEL, 2)
    h = window.reshape(len(x), -1)
    for w, b in dense:
      h = jnp.tanh(h @ w.reshape(-1, w.shape[-1]) + b)
    return h

  along = jax.vmap(perceptron, (None, 0), 1)
  return jax.vmap(along, (0, None), 1)(jnp.arange(height), jnp.arange(width))


def _difference(found: Any, expected: Any) -> float:
  """The largest difference over the largest value, of any leaf."""
  pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
  return max(float(abs(a - b).max() / abs(b).max()) for a, b in pairs)


def _head(head: str, num_classes: int) -> Mapping[str, layers.Layer]:
  if head == _AVERAGE:
    # Without the ReLU that the paper has before the average: logits, like
    # those of the other heads, may be negative.
    return {
      'conv': layers.conv(num_classes, 1),
      'pool': layers.global_avg_pool(),
    }
  hidden = {
    'hidden': layers.dense(_HIDDEN, weight_init=initializers.he()),
    'activation1': layers.activation('relu'),
  }
  return {
    'flatten': layers.flatten(),
    **(hidden if head == 'with a hidden layer' else {}),
    'dense': layers.dense(num_classes),
  }


def _count(head: str) -> int:
  return geometry.summary(layers.named(_head(head, 10)), _MAP).parameters


def _network(
  head: str, static: Any, dynamic: Any, num_classes: int
) -> layers.Layer:
  """Two mlpconv layers and a head; images of 14x14 leave a map of 7x7.

  Batch norm, though the paper has none: at first there was none here, and in 30
  epochs the averaging network got half of its training images wrong, so that
  its gap said nothing.
  """
  del dynamic
  mlpconv = lambda width: layers.mlpconv(
    (width, width),
    _KERNEL,
    activation=layers.activation('relu'),
    norm=layers.batch_norm(),
    weight_init=initializers.he(),
    use_bias=False,
  )
  first = {'mlpconv': mlpconv(static.width), 'pool': layers.max_pool(2)}
  return units.chain(
    {
      'mlpconv1': layers.named(first),
      'mlpconv2': mlpconv(2 * static.width),
      'readout': layers.named(_head(head, num_classes)),
    }
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  test = 100 * data['test_accuracy']
  gap = 100 * data['train_accuracy'] - test
  parameters = data['parameters']
  against = lambda fn: {
    head: np.atleast_1d(fn(head, _AVERAGE)) for head in _CONNECTED
  }
  of = lambda values, head: values.sel(head=head).values
  return [
    atlas.Claim(
      'mlpconv is a perceptron that slides over the image',
      'largest difference in float64, over the largest value',
      atlas.at_most(1e-12),
      {part: data['error'].sel(part=part).values for part in _PARTS},
      every=True,
    ),
    atlas.Claim(
      'a fully connected head has many more parameters',
      'parameters over those of the averaging head, on a map of 8×8×192',
      atlas.at_least(5),
      against(lambda one, other: of(parameters, one) / of(parameters, other)),
      every=True,
    ),
    atlas.Claim(
      'it overfits more',
      'gap of training and test accuracy, points more than with the average',
      atlas.at_least(2),
      against(lambda one, other: of(gap, one) - of(gap, other)),
    ),
    atlas.Claim(
      'so that averaging tests better',
      'test accuracy gained by the average, points',
      atlas.at_least(1),
      against(lambda one, other: of(test, other) - of(test, one)),
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws parameters, training, and accuracy on both splits.

  Args:
    data: what `measure` returned.
  """
  losses = data['loss'].rolling(step=_WINDOW).mean().dropna('step')
  splits = {'training': 'train_accuracy', 'test': 'test_accuracy'}
  return panels.draw(
    [
      panels.Panel(
        'Cost',
        '',
        'parameters of the head',
        {
          head: panels.over_seeds(
            np.array([place]),
            data['parameters'].sel(head=head).values.reshape(1, 1),
          )
          for place, head in enumerate(_HEADS)
        },
        log_y=True,
        ticks=['average', 'connected', 'hidden'],
      ),
      panels.Panel(
        f'Training on {_NUM_TRAIN} images',
        'step',
        'training loss',
        {
          head: panels.over_seeds(
            losses['step'].values + 1,
            losses.sel(head=head).transpose('seed', 'step').values,
          )
          for head in _HEADS
        },
        log_y=True,
      ),
      panels.Panel(
        'Overfitting',
        'split',
        'accuracy',
        {
          head: panels.over_seeds(
            np.arange(len(splits)),
            np.stack(
              [data[name].sel(head=head).values for name in splits.values()], 1
            ),
          )
          for head in _HEADS
        },
        marked=True,
        ticks=list(splits),
      ),
    ],
    list(_HEADS),
  )


FACT = atlas.Fact(
  formulas=(
    r'x_{ij} \mapsto \max(0, W_2 \max(0, W_1 x_{ij} + b_1) + b_2)',
    r'z_c = \frac{1}{H W} \sum_{ij} x_{ijc}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
