"""Tests for `rules.py`, against trying every pixel."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.geometry import extents
from jaxdl.geometry import rules
from jaxdl.geometry.application import Application

from tests.geometry import dependence


@jax.custom_vjp
def _doubled(x):
  return x[:, 1:] + x[:, :-1]


_doubled.defvjp(lambda x: (_doubled(x), None), lambda _, ct: (ct,))

_W = jnp.ones((2, 3))


class ExactTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('elementwise', lambda x: jax.nn.relu(jnp.exp(x)) + 2 * x),
    ('with its own derivative', lambda x: jax.nn.relu(_doubled(x))),
    ('selection', lambda x: jnp.where(x > 0, x, 2.0)),
    ('broadcast', lambda x: jnp.broadcast_to(x[:, None], (1, 3, 9, 8, 2))),
    ('transposed', lambda x: jnp.transpose(x, (3, 2, 0, 1))),
    ('transposed by einsum', lambda x: jnp.einsum('bhwc,cd->dwhb', x, _W)),
    ('squeezed', lambda x: jnp.squeeze(x, 0)),
    ('flattened space', lambda x: x.reshape(1, 3, 3, 8, 2)),
    ('channels mixed', lambda x: x @ _W),
    ('channels summed', lambda x: jnp.sum(x, axis=-1)),
    ('space summed', lambda x: jnp.sum(x, axis=1)),
    ('summed but kept', lambda x: jnp.mean(x, axis=(1, 2), keepdims=True)),
    ('largest', lambda x: jnp.max(x, axis=(2, 3))),
    ('joined channels', lambda x: jnp.concatenate([x, 2 * x], axis=-1)),
    ('shifted', lambda x: x[:, 2:] + x[:, :-2]),
    ('of unlike shapes', lambda x: lax.add(x, jnp.sum(x, -1, keepdims=True))),
    ('softmax over channels', lambda x: jax.nn.softmax(x, axis=-1)),
    (
      'reduced by any function',
      lambda x: lax.reduce(x, 0.0, lambda a, b: a + b, (1,)),
    ),
    (
      'patches',
      lambda x: jnp.einsum(
        'bhiwjc,ijcd->bhwd',
        x[:, :8].reshape(1, 4, 2, 2, 4, 2),
        jnp.ones((2, 4, 2, 3)),
      ),
    ),
    (
      'zeros beside it',
      lambda x: jnp.concatenate([jnp.zeros((1, 2, 8, 2)), x], axis=1),
    ),
    (
      'halves joined again',
      lambda x: jnp.concatenate([x[:, :4], x[:, 4:]], axis=1),
    ),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (9, 8, 2))

  def test_flattening_sees_all(self):
    self.assertTrue(dependence.whole(lambda x: x.reshape(1, -1), (9, 8, 2)))

  def test_space_that_scales_all_sees_all(self):
    squeeze = lambda x: x * jnp.mean(x, axis=(1, 2), keepdims=True)
    self.assertTrue(dependence.whole(squeeze, (9, 8, 2)))

  def test_attention_sees_all(self):
    def attention(x):
      tokens = x.reshape(1, 72, 2)
      weights = jax.nn.softmax(jnp.einsum('bic,bjc->bij', tokens, tokens))
      return jnp.einsum('bij,bjc->bic', weights, tokens)

    self.assertTrue(dependence.whole(attention, (9, 8, 2)))

  @parameterized.named_parameters(
    ('sorted', lambda x: jnp.sort(x, axis=1)),
    ('summed so far', lambda x: jnp.cumsum(x, axis=1)),
    ('place of the largest', lambda x: jnp.argmax(x, axis=1)),
    ('largest three', lambda x: lax.top_k(jnp.moveaxis(x, 1, -1), 3)[0]),
  )
  def test_along_one_axis(self, fn):
    height, width = dependence.predicted(fn, (9, 8, 2))
    self.assertEqual((height.start, height.size), (0, 9))
    self.assertTrue(extents.is_constant(height))
    self.assertEqual(width.size, 1)

  def test_circular_padding_sees_no_less_than_it_does(self):
    wrapped = lambda x: jnp.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
    height, _ = dependence.predicted(wrapped, (9, 8, 2))
    self.assertFalse(height.aligned)
    self.assertLessEqual(height.start, -1)
    self.assertGreaterEqual(height.start + height.size, 9)


class UnknownTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('fft', lambda x: jnp.fft.fft(x, axis=1).real),
    (
      'while',
      lambda x: lax.while_loop(lambda x: x[0, 0, 0, 0] < 9, jnp.exp, x),
    ),
    ('scatter', lambda x: jnp.zeros(9).at[0].set(x[0, 0, 0, 0])),
  )
  def test_sees_all_and_is_named(self, fn):
    for extent in dependence.predicted(fn, (9, 8, 2)):
      self.assertEqual((extent.start, extent.size), (0, extent.length))
      self.assertRegex(extent.note, r'(fft|while|scatter) is not understood')


class ApplyTest(parameterized.TestCase):
  def test_finds_the_rule_by_the_name_of_the_primitive(self):
    extent = extents.of_input((4, 5), 1)
    params = {'permutation': (1, 0)}
    swapped = Application(
      'transpose', params, (extent,), ((4, 5),), ((5, 4),), lambda _: None
    )
    self.assertEqual(rules.apply(swapped), [extent._replace(strides=(1, 0))])


if __name__ == '__main__':
  absltest.main()
