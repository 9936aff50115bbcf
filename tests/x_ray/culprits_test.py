"""Tests for `x_ray/culprits.py`."""

from unittest import mock

from absl.testing import absltest
from flax import nnx
import jax.numpy as jnp
from jaxdl.x_ray import culprits
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
import numpy as np

# Before flax 0.12, modules hold lists as they are.
_List = getattr(nnx, 'List', list)


_HUNT = 'call `first_nonfinite`'
_DEAD = finding.Finding('dead', 'blocks/1', 'all', (_HUNT,))
_NONFINITE = finding.Finding('nonfinite', 'blocks/0', 'first', (_HUNT, 'guard'))


class _Block(nnx.Module):
  def __init__(self):
    self.dense = nnx.Linear(3, 3, rngs=nnx.Rngs(0))

  def __call__(self, x):
    x = self.dense(x)
    return x / jnp.sqrt(jnp.sum(x**2, axis=-1, keepdims=True))


class _Model(nnx.Module):
  def __init__(self):
    self.blocks = _List([_Block(), _Block()])

  def __call__(self, x):
    for block in self.blocks:
      x = block(x)
    return x


def _subject(x, model=None):
  loss = lambda model, x: jnp.mean(model(x))
  return examination.subject(loss, model or _Model(), (x,), False)


def _with_a_zero():
  return jnp.asarray([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])


class FindTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.subject = _subject(jnp.asarray([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
    cls.found = culprits.find(cls.subject)

  def _explained(self, findings, found=None, error=None):
    with mock.patch.object(
      culprits, 'find', return_value=found, side_effect=error
    ):
      return culprits.explained(findings, self.subject)

  def test_names_the_module_of_the_operation(self):
    self.assertEqual(self.found.forward.scope, 'blocks/0')
    self.assertEqual(self.found.forward.primitive, 'div')
    self.assertEqual(self.found.forward.reason, '0.0 / 0.0')
    self.assertIn('culprits_test.py', self.found.forward.source)

  def test_names_the_parameter_that_came_in_so(self):
    model = _Model()
    kernel = np.array(model.blocks[1].dense.kernel)
    kernel[0, 0] = np.nan
    model.blocks[1].dense.kernel = nnx.Param(jnp.asarray(kernel))
    found = culprits.find(_subject(jnp.ones((2, 3)), model))
    self.assertEqual(found.forward.primitive, 'argument')
    self.assertEqual(found.forward.scope, 'blocks/1/dense/kernel')

  def test_of_a_finite_loss_there_is_none(self):
    found = culprits.find(_subject(jnp.ones((2, 3))))
    self.assertEqual(found, (None, None))
    self.assertEqual(self._explained([_NONFINITE], found), (_NONFINITE,))

  def test_adds_the_culprit_to_the_evidence(self):
    dead, explained = self._explained([_DEAD, _NONFINITE], self.found)
    self.assertEqual(dead, _DEAD)
    self.assertStartsWith(explained.evidence, 'first. div made nan')
    self.assertIn('at blocks/0 (culprits_test.py', explained.evidence)
    self.assertEqual(explained.remedies, ('guard',))

  def test_says_why_there_is_no_culprit(self):
    (explained,) = self._explained(
      [_NONFINITE], error=RuntimeError('the loss is another')
    )
    self.assertEndsWith(explained.evidence, 'found: the loss is another')

  def test_evaluates_nothing_again_where_all_is_finite(self):
    explained = self._explained([_DEAD], error=AssertionError('evaluated'))
    self.assertEqual(explained, (_DEAD,))


if __name__ == '__main__':
  absltest.main()
