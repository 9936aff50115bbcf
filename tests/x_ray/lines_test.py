"""Tests for `x_ray/lines.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
from jaxdl.x_ray import lines as lines_lib
import numpy as np
import optax

_X = jnp.asarray(np.random.RandomState(0).randn(5, 3), jnp.float32)


def _loss(params, x):
  with jax.named_scope('stem'):
    x = x @ params['stem']['kernel'] + params['stem']['bias']

  def layer(x, w):
    with jax.named_scope('dense'):
      return jnp.tanh(x @ w), None

  def body(carry):
    with jax.named_scope('newton'):
      return carry[0] + 1, jnp.sqrt(carry[1])

  with jax.named_scope('hidden'):
    x, _ = lax.scan(layer, x, params['hidden'])
  with jax.named_scope('solver'):
    _, y = lax.while_loop(lambda c: c[0] < 3, body, (0, jnp.sum(_X**2)))
  return jnp.mean(x**2) * y


def _examined():
  keys = jax.random.split(jax.random.key(0), 2)
  params = {
    'stem': {
      'kernel': jax.random.normal(keys[0], (3, 4)),
      'bias': jnp.zeros(4),
    },
    'hidden': jax.random.normal(keys[1], (2, 4, 4)),
    'unused': jnp.ones(4),
  }
  subject = examination.subject(_loss, params, (_X,), False)
  return examination.examine(subject, optimizer=optax.sgd(0.1))


class OfTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.examined = _examined()

  def _lines(self, *wheres):
    found = [finding.Finding(f'{i}', w, '', ()) for i, w in enumerate(wheres)]
    return lines_lib.of(self.examined, found)

  def test_values_then_parameters_apart_then_what_is_hidden(self):
    lines = self._lines()
    kinds = [line.kind for line in lines]
    self.assertEqual(kinds, sorted(kinds, key='value parameter hidden'.find))
    self.assertEqual(
      [line.name for line in lines if line.kind == 'value'],
      [row.name for row in self.examined.rows],
    )
    self.assertIn('unused', [x.name for x in lines if x.kind == 'parameter'])
    self.assertIn('while loop', lines[-1].note)

  def test_several_parameters_are_as_one_vector(self):
    stem = self._lines()[0]
    known = {p.name: p for p in self.examined.parameters}
    kernel, bias = known['stem/kernel'], known['stem/bias']
    self.assertEqual(set(stem.parameters), {'stem/kernel', 'stem/bias'})
    self.assertAlmostEqual(stem.parameter_norm, kernel.norm, places=5)
    self.assertAlmostEqual(
      stem.gradient_norm,
      math.sqrt(kernel.gradient_norm**2 + bias.gradient_norm**2),
      places=5,
    )
    # The bias starts at zero, so its own ratio is infinite.
    self.assertAlmostEqual(stem.update_ratio, kernel.update_ratio, places=6)

  def test_iterations_after_the_first_repeat_the_parameters(self):
    dense = [x for x in self._lines() if x.parameters == ('hidden',)]
    self.assertLen(dense, 2)
    self.assertEqual([x.is_repeated for x in dense], [False, True])

  def test_decades_are_relative_to_the_last_cut_that_is_no_scalar(self):
    lines = self._lines()
    cuts = [x for x in lines if x.is_cut and math.prod(x.shape) > 1]
    self.assertEqual(cuts[-1].decades, 0)
    stem = lines[0]
    self.assertAlmostEqual(
      stem.decades, math.log10(stem.backward_rms / cuts[-1].backward_rms)
    )

  @parameterized.parameters(
    ('stem', ['stem']),
    ('hidden/dense[1]', ['hidden/dense[1]']),
    ('hidden/dense', ['hidden/dense[0]', 'hidden/dense[1]']),
    ('stem/bias', ['stem']),
    ('hidden', ['hidden']),
    ('unused', ['unused']),
    ('solver/newton', ['solver/newton']),
    ('nowhere', []),
    ('', []),
  )
  def test_a_finding_marks_where_it_starts(self, where, expected):
    marked = [line.name for line in self._lines(where) if line.verdict]
    self.assertEqual(marked, expected)

  def test_the_first_of_two_findings_marks(self):
    stem = self._lines('stem', 'stem')[0]
    self.assertEqual((stem.finding, stem.verdict), (0, '0'))

  @parameterized.parameters(
    (1e-30, 1e-3, -27.0),
    (0.0, 1.0, -math.inf),
    (math.nan, 1.0, math.nan),
    (1.0, 0.0, math.nan),
    (1.0, math.inf, math.nan),
  )
  def test_decades_of_what_is_zero_or_unknown(self, rms, base, expected):
    np.testing.assert_allclose(lines_lib.decades(rms, base), expected)


if __name__ == '__main__':
  absltest.main()
