"""Tests for `laboratory/initialization.py`: against NumPy."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import models
from jaxdl.laboratory import initialization
from jaxdl.layers import initializers
import numpy as np
import xarray as xr

_WEIGHT_STDS, _BIAS_STDS = (0.8, 1.5), (0.3, 0.0)
_SIZES = {'width': 12, 'depth': 4, 'num_seeds': 3}
_INPUTS = np.random.default_rng(0).normal(size=(2, 3, 5))


@functools.cache
def _measured():
  return initialization.measure(
    'tanh', _WEIGHT_STDS, _BIAS_STDS, _INPUTS, seed=7, **_SIZES
  )


def _pre_activations(configuration, seed):
  """Of the same network, `[layer, input, unit]`, and dz/dh, in float64."""
  network = models.build(
    'mlp',
    in_shape=(5,),
    num_classes=1,
    activation='tanh',
    depth=4,
    width=12,
    weight_init=initializers.normal_fan_in(_WEIGHT_STDS[configuration]),
    bias_init=initializers.normal(_BIAS_STDS[configuration]),
  )
  key = jax.random.split(jax.random.key(7), 3)[seed]
  _, params, _ = network.init(key, (5,))
  leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(params)]
  first_w, first_b, w, b, last_w, _ = leaves
  hs = [_INPUTS[configuration] @ first_w + first_b]
  for i in range(3):
    hs.append(np.tanh(hs[-1]) @ w[i] + b[i])
  cotangents = [np.ones((3, 1)) @ last_w.T / np.cosh(hs[-1]) ** 2]
  for i in reversed(range(3)):
    cotangents.append(cotangents[-1] @ w[i].T / np.cosh(hs[i]) ** 2)
  return np.stack(hs), np.stack(cotangents[::-1])


class MeasureTest(parameterized.TestCase):
  @parameterized.product(configuration=(0, 1), seed=(0, 2))
  def test_agrees_with_numpy(self, configuration, seed):
    h, cotangent = _pre_activations(configuration, seed)
    found = _measured().isel(configuration=configuration, seed=seed)
    unit = h / np.linalg.norm(h, axis=-1, keepdims=True)
    cosine = np.sum(unit[:, :1] * unit[:, 1:], axis=-1)
    chex.assert_trees_all_close(
      {name: found[name].values for name in found.data_vars},
      {
        'variance': np.mean(h**2, axis=(1, 2)),
        'squared_gradient': np.mean(cotangent**2, axis=(1, 2)),
        'gap': 1 - cosine,
      },
      rtol=2e-5,
      atol=1e-7,
    )

  def test_learned_slopes_are_not_scaled(self):
    both = (
      initialization.measure(name, _WEIGHT_STDS, _BIAS_STDS, _INPUTS, **_SIZES)
      for name in ('prelu:0.3', 'leaky_relu:0.3')
    )
    learned, fixed = (found.drop_vars('activation') for found in both)
    xr.testing.assert_allclose(learned, fixed, rtol=1e-5)

  def test_labels(self):
    found = _measured()
    self.assertEqual(
      dict(found.sizes),
      {'configuration': 2, 'seed': 3, 'layer': 4, 'input': 2},
    )
    np.testing.assert_array_equal(found['layer'], [1, 2, 3, 4])
    np.testing.assert_array_equal(found['weight_std'], _WEIGHT_STDS)
    np.testing.assert_array_equal(found['bias_std'], _BIAS_STDS)
    self.assertEqual(set(found['activation'].values), {'tanh'})
    self.assertEqual(found['variance'].dtype, np.float64)

  def test_tiny_gap_is_right_relative_to_itself(self):
    angle = 1e-4
    x = jnp.array([[1.0, 0], [np.cos(angle), np.sin(angle)]], jnp.float32)
    gap = initialization._gaps(x)
    np.testing.assert_allclose(gap, [angle**2 / 2], rtol=1e-4)

  @parameterized.parameters(
    ({'depth': 1}, 'depth must be at least 2, got 1'),
    ({'width': 0}, 'width must be at least 1, got 0'),
    ({'width': 10**7}, r'1.49e\+06 GiB takes .* choose less width or depth'),
    ({'num_seeds': 0}, 'num_seeds must be at least 1, got 0'),
    ({'inputs': _INPUTS[:, :1]}, r'two inputs at least; got .*\(2, 1, 5\)'),
    ({'bias_std': (0.0,)}, 'There are 2 weight_std, 1 bias_std and 2 sets'),
    ({'activation': 'tanhh'}, "'tanhh'.* mean 'tanh'"),
    (
      {'weight_std': (1.5, 1e-30), 'depth': 3, 'num_seeds': 1},
      'weight_std = 1e-30 and bias_std = 0, .* choose less depth',
    ),
  )
  def test_refuses(self, changes, message):
    arguments = {
      'activation': 'tanh',
      'weight_std': _WEIGHT_STDS,
      'bias_std': _BIAS_STDS,
      'inputs': _INPUTS,
      **_SIZES,
    }
    with self.assertRaisesRegex(ValueError, message):
      initialization.measure(**{**arguments, **changes})


if __name__ == '__main__':
  absltest.main()
