"""Tests for `precision.py`, `finiteness.py` and `update.py` of `diagnosis/`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import finiteness
from jaxdl.x_ray.diagnosis import precision
from jaxdl.x_ray.diagnosis import thresholds
from jaxdl.x_ray.diagnosis import update

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()


@functools.cache
def _half(dtype):
  """A loss in half precision, whose scale is an argument."""

  def loss(params, x, labels, scale):
    params = jax.tree.map(lambda p: p.astype(dtype), params)
    y = networks.logits(params, x.astype(dtype)).astype(jnp.float32)
    return scale * networks.cross_entropy(y, labels)

  return loss


class UnderflowTest(parameterized.TestCase):
  @parameterized.parameters(
    (jnp.float16, 1.0, False),
    (jnp.float16, 1e-5, True),
    (jnp.float16, 1e-8, True),
    (jnp.bfloat16, 1e-8, False),
  )
  def test_scale_of_the_loss(self, dtype, scale, is_lost):
    args = networks.params(6), *networks.data(), jnp.float32(scale)
    found = networks.findings(_half(dtype), *args)
    self.assertEqual(
      [f.verdict for f in found], ['underflow'] if is_lost else []
    )

  def test_the_scale_that_it_names_is_enough(self):
    args = networks.params(6), *networks.data()
    (found,) = precision.rule(
      networks.examined(_half(jnp.float16), *args, jnp.float32(1e-6)), _LIMITS
    )
    scale = float(found.remedies[0].split()[4].rstrip(','))
    examined = networks.examined(
      _half(jnp.float16), *args, jnp.float32(1e-6 * scale)
    )
    self.assertEmpty(precision.rule(examined, _LIMITS))
    self.assertEmpty(finiteness.rule(examined, _LIMITS))


class NonFiniteTest(parameterized.TestCase):
  def test_healthy(self):
    self.assertEmpty(finiteness.rule(networks.healthy(), _LIMITS))

  def test_forward(self):
    def loss(params, x, labels):
      return networks.cross_entropy(
        networks.logits(params, x, lambda x: jnp.log(x - 1)), labels
      )

    (found,) = networks.findings(loss, networks.params(2), *networks.data())
    self.assertEqual(found.verdict, 'nonfinite')
    self.assertEqual(found.where, 'dense_01')
    self.assertIn('first_nonfinite', found.remedies[0])

  def test_backward(self):
    def loss(params, x):
      with jax.named_scope('dense'):
        x = x @ params['w']
      with jax.named_scope('root'):
        x = jnp.sqrt(jnp.abs(x * 0))
      return jnp.sum(x)

    params = {'w': networks.params(1)['dense_00']['kernel']}
    (found,) = networks.findings(loss, params, networks.data()[0])
    self.assertEqual((found.verdict, found.where), ('nonfinite', 'dense'))
    self.assertIn('the loss is finite', found.evidence)

  def test_parameter_and_loss(self):
    params = networks.params(6)
    params['dense_03']['bias'] = params['dense_03']['bias'].at[0].set(jnp.nan)
    examined = networks.examined(networks.loss(), params, *networks.data())
    (found,) = finiteness.rule(examined, _LIMITS)
    self.assertEqual(found.where, 'dense_03/bias')
    broken = networks.healthy()._replace(loss=float('inf'))
    (found,) = finiteness.rule(broken, _LIMITS)
    self.assertEqual(found.where, '(loss)')

  def test_an_infinity_that_does_no_harm(self):
    def loss(params, x):
      with jax.named_scope('mask'):
        x = jnp.where(x > 0, x @ params['w'], -jnp.inf)
      return jnp.sum(jax.nn.softmax(x, -1) ** 2)

    x = networks.data()[0]
    x = x.at[:, 0].set(1)
    params = {'w': networks.params(1, width=8)['dense_00']['kernel']}
    examined = networks.examined(loss, params, x)
    self.assertEmpty(finiteness.rule(examined, _LIMITS))


class UpdateTest(parameterized.TestCase):
  @parameterized.parameters((1e-3, False), (1e-2, False), (100.0, True))
  def test_learning_rate(self, learning_rate, is_large):
    found = networks.findings(
      networks.loss(),
      networks.params(6),
      *networks.data(),
      learning_rate=learning_rate,
    )
    self.assertEqual(
      [f.verdict for f in found], ['diverging_update'] if is_large else []
    )
    for told in found:
      self.assertStartsWith(told.remedies[0], 'divide the learning rate')

  def test_without_an_optimizer(self):
    examined = networks.healthy()
    unknown = tuple(
      p._replace(update_ratio=float('nan')) for p in examined.parameters
    )
    examined = examined._replace(parameters=unknown)
    self.assertEmpty(update.rule(examined, _LIMITS))


if __name__ == '__main__':
  absltest.main()
