"""Tests for `x_ray/scopes.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from flax import nnx
import jax
import jax.numpy as jnp
from jaxdl.x_ray import scopes


class _Block(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(3, 3, rngs=rngs)

  def __call__(self, x):
    return self.positive(self.dense(x))

  def positive(self, x):
    return nnx.relu(x)

  def halved(self, x):
    return self.dense(x) / 2


class _Net(nnx.Module):
  def __init__(self, rngs):
    # Before flax 0.12, modules hold dictionaries as they are.
    parts = getattr(nnx, 'Dict', dict)
    self.parts = parts(first=_Block(rngs), second=_Block(rngs))

  def __call__(self, x):
    return self.parts['second'](self.parts['first'](x))


def _stacks(fn, *args):
  """The scopes of all equations, those of inner calls behind a bar."""

  def walk(jaxpr):
    for eqn in jaxpr.eqns:
      yield str(eqn.source_info.name_stack)
      if 'jaxpr' in eqn.params:
        yield from (
          f'{eqn.source_info.name_stack}|{s}' for s in walk(eqn.params['jaxpr'])
        )

  return set(walk(jax.make_jaxpr(fn)(*args)))


class OpenedByTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.net = _Net(nnx.Rngs(0))
    self.x = jnp.ones((2, 3))

  def _stacks(self, fn):
    def opened(x):
      with scopes.opened_by(self.net, nnx.Module):
        return fn(x)

    return _stacks(opened, self.x)

  def test_a_module_is_named_as_it_is_referred_to(self):
    found = self._stacks(self.net)
    self.assertIn('./parts.first/dense', found)
    self.assertIn('./parts.second/dense', found)

  def test_a_module_that_the_loss_calls_itself(self):
    found = self._stacks(lambda x: self.net.parts['second'](x))
    self.assertIn('parts.second/dense', found)

  def test_a_method_of_a_module(self):
    found = self._stacks(lambda x: self.net.parts['second'].halved(x))
    self.assertIn('parts.second:halved', found)
    self.assertIn('parts.second:halved/dense', found)

  def test_a_method_that_a_module_calls_itself_is_no_scope(self):
    found = self._stacks(self.net)
    self.assertFalse([stack for stack in found if 'positive' in stack], found)

  def test_a_module_put_together_anew_is_named_as_its_class(self):
    def rebuilt(x):
      return nnx.merge(*nnx.split(self.net.parts['first']))(x)

    self.assertIn('._Block/dense', self._stacks(rebuilt))

  def test_a_model_put_together_anew_is_the_model(self):
    def rebuilt(x):
      return nnx.merge(*nnx.split(self.net))(x)

    self.assertIn('./parts.first/dense', self._stacks(rebuilt))

  def test_a_function_that_was_traced_before_is_traced_again(self):
    jitted = jax.jit(self.net.__call__)
    jitted(self.x)
    self.assertTrue(any('parts.first/dense' in s for s in self._stacks(jitted)))

  def test_leaves_the_model_and_its_classes_as_they_were(self):
    calls = [_Net.__call__, _Block.halved, nnx.Linear.__call__]
    before = nnx.state(self.net)
    self._stacks(self.net)
    self.assertEqual(calls, [_Net.__call__, _Block.halved, nnx.Linear.__call__])
    after = nnx.state(self.net)
    jax.tree.map(self.assertIs, jax.tree.leaves(before), jax.tree.leaves(after))
    self.assertEqual(
      _stacks(self.net, self.x), {''} | _stacks(self.net, self.x)
    )
    self.assertNotIn('parts.first/dense', _stacks(self.net, self.x))

  def test_restores_them_after_an_error(self):
    call = _Block.__call__
    with self.assertRaises(ZeroDivisionError):
      with scopes.opened_by(self.net, nnx.Module):
        raise ZeroDivisionError
    self.assertIs(_Block.__call__, call)


if __name__ == '__main__':
  absltest.main()
