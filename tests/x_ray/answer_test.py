"""Tests for `x_ray/answer.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.x_ray import answer
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
import optax

_VANISHING = finding.Finding(
  'vanishing', 'blocks/3', 'the gradient loses 7 decades ' * 5, ('normalize',)
)
_MARKUP = finding.Finding('dead_<u>', '<b>', '`<i>` & "quotes"', ('<script>',))


def _loss(params, x, target):
  with jax.named_scope('dense'):
    y = x @ params['w']
  with jax.named_scope('relu'):
    y = jax.nn.relu(y)
  with jax.named_scope('head'):
    return jnp.mean((y @ params['v'] - target) ** 2)


def _examined(readout=1.0, target=0.0):
  params = {
    'w': jnp.asarray([[1.0, -1.0, 0.5]]),
    'v': jnp.full((3, 1), readout),
    'unused': jnp.ones(2),
  }
  x = jnp.asarray([[1.0], [2.0]])
  subject = examination.subject(_loss, params, (x, target), False)
  return examination.examine(subject, optimizer=optax.sgd(0.1))


class DiagnosisTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.examined = _examined()

  def test_is_a_sequence_of_findings(self):
    found = answer.Diagnosis(self.examined, [_VANISHING, _MARKUP])
    self.assertEqual(list(found), [_VANISHING, _MARKUP])
    self.assertLen(found, 2)
    self.assertEqual(found[0].verdict, 'vanishing')
    self.assertTrue(found)
    self.assertFalse(answer.Diagnosis(self.examined, []))

  def test_prints_numbered_findings_with_what_to_try(self):
    text = str(answer.Diagnosis(self.examined, [_VANISHING, _MARKUP]))
    self.assertStartsWith(text, '1. Vanishing: blocks/3\n   The gradient')
    self.assertIn(
      '\n   Try, in this order:\n   - normalize\n\n2. Dead <u>', text
    )
    self.assertLessEqual(max(map(len, text.splitlines())), 80)

  def test_says_it_in_one_sentence(self):
    found = answer.Diagnosis(self.examined, [_VANISHING, _MARKUP])
    self.assertEqual(found.headline, 'Vanishing at blocks/3; 1 more below')

  def test_healthy_gives_the_numbers_it_rests_on(self):
    text = answer.Diagnosis(self.examined, []).to_text(width=200)
    self.assertStartsWith(text, 'Healthy')
    self.assertIn('Forward: rms between', text)
    self.assertIn('33% of the units dead (relu)', text)
    self.assertIn('1 without any and 0 with one that is not finite', text)
    self.assertIn('optimizer moves the parameters by', text)
    self.assertRegex(text, r'\(relu\), 0\.4 decades apart')

  def test_a_readout_that_starts_at_zero_is_told(self):
    examined = _examined(readout=0.0, target=1.0)
    text = answer.Diagnosis(examined, []).to_text(width=200)
    self.assertIn('2 without any as long as v is zero', text)
    self.assertIn('33% of the units dead (relu)', text)

  def test_html_escapes_all(self):
    text = answer.to_html(answer.Diagnosis(self.examined, [_MARKUP]))
    for tag in ('<b>', '<i>', '<u>', '<script>'):
      self.assertNotIn(tag, text)
    self.assertIn('<code>&lt;i&gt;</code> &amp; &quot;quotes&quot;', text)
    healthy = answer.Diagnosis(self.examined, [])
    self.assertIn('<li>Forward', answer.to_html(healthy))
    self.assertEqual(healthy._repr_html_(), answer.to_html(healthy))


if __name__ == '__main__':
  absltest.main()
