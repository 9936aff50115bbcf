"""Tests for `sequences.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl.data import sequences
import numpy as np

_PROBLEMS = {
  'adding': sequences.adding,
  'temporal_order': sequences.temporal_order,
}
_MANY = 20_000
_LENGTH = 23  # No multiple of ten: shares of it are rounded down.


def _draw(name, batch_size=_MANY, length=_LENGTH, seed=0):
  drawn = _PROBLEMS[name](jax.random.key(seed), batch_size, length)
  return jax.tree.map(np.asarray, drawn)


class AddingTest(parameterized.TestCase):
  def test_target_is_the_sum_of_the_two_marked_numbers(self):
    inputs, targets = _draw('adding')
    numbers, marks = inputs[..., 0], inputs[..., 1]
    np.testing.assert_array_equal(np.sum(marks == 1, axis=1), 2)
    np.testing.assert_array_equal(np.sum(marks == 0, axis=1), _LENGTH - 2)
    marked = numbers[marks == 1].reshape(_MANY, 2)
    np.testing.assert_allclose(targets[:, 0], marked.sum(1), rtol=1e-6)

  def test_marks_lie_where_they_are_said_to(self):
    marks = _draw('adding').inputs[..., 1]
    first = np.argmax(marks, axis=1)
    second = _LENGTH - 1 - np.argmax(marks[:, ::-1], axis=1)
    self.assertEqual(set(first), {0, 1})  # [0, 23 // 10)
    self.assertEqual(set(second), set(range(2, 11)))  # [2, 23 // 2)
    counts = np.bincount(second)[2:]
    np.testing.assert_allclose(counts / _MANY, 1 / 9, atol=0.01)

  def test_numbers_are_uniform_and_the_mean_has_the_error_stated(self):
    inputs, targets = _draw('adding')
    numbers = inputs[..., 0]
    self.assertTrue(np.all((numbers >= 0) & (numbers < 1)))
    np.testing.assert_allclose(numbers.mean(), 0.5, atol=0.005)
    np.testing.assert_allclose(numbers.var(), 1 / 12, atol=0.001)
    error = np.mean((targets - 1) ** 2)
    np.testing.assert_allclose(error, sequences.ADDING_BASELINE, atol=0.005)


class TemporalOrderTest(parameterized.TestCase):
  def test_class_is_the_order_of_the_two_symbols(self):
    inputs, targets = _draw('temporal_order')
    np.testing.assert_array_equal(inputs.sum(-1), 1)
    symbols = np.argmax(inputs, axis=-1)
    relevant = symbols[symbols < 2].reshape(_MANY, 2)
    np.testing.assert_array_equal(targets, relevant @ [2, 1])
    places = np.nonzero(symbols < 2)[1].reshape(_MANY, 2)
    self.assertEqual(set(places[:, 0]), {2, 3})  # [2.3, 4.6), rounded down
    self.assertEqual(set(places[:, 1]), {9, 10})  # [9.2, 11.5), rounded down

  def test_classes_and_distractors_are_equally_frequent(self):
    inputs, targets = _draw('temporal_order')
    classes = np.bincount(targets, minlength=sequences.NUM_ORDERS)
    np.testing.assert_allclose(classes / _MANY, 0.25, atol=0.01)
    share = inputs[..., 2:].mean((0, 1)) * _LENGTH / (_LENGTH - 2)
    np.testing.assert_allclose(share, 0.25, atol=0.005)
    np.testing.assert_allclose(
      sequences.TEMPORAL_ORDER_BASELINE, -np.log(1 / 4)
    )


class EveryProblemTest(parameterized.TestCase):
  @parameterized.parameters(('adding', 2, (8, 1)), ('temporal_order', 6, (8,)))
  def test_shapes(self, name, features, targets_shape):
    drawn = _draw(name, 8, 30)
    chex.assert_shape(drawn.inputs, (8, 30, features))
    chex.assert_shape(drawn.targets, targets_shape)

  @parameterized.parameters(*_PROBLEMS)
  def test_is_a_function_of_the_key_under_jit_and_vmap(self, name):
    keys = jax.random.split(jax.random.key(1), 3)
    draw = lambda key: _PROBLEMS[name](key, 4, 12)
    many = jax.jit(jax.vmap(draw))(keys)
    one_by_one = jax.tree.map(lambda *a: jnp.stack(a), *map(draw, keys))
    chex.assert_trees_all_close(many, one_by_one, rtol=1e-6)
    self.assertGreater(np.abs(many.inputs[0] - many.inputs[1]).max(), 0)

  @parameterized.parameters(*_PROBLEMS)
  def test_two_steps_matter_at_every_length(self, name):
    @hypothesis.given(strategies.integers(sequences.MIN_LENGTH, 45))
    @hypothesis.settings(max_examples=10)
    def check(length):
      inputs = _draw(name, 16, length).inputs
      marked = inputs[..., 1] if name == 'adding' else inputs[..., :2].sum(-1)
      np.testing.assert_array_equal(marked.sum(1), 2)
      # Half of the sequence, at least, is to be remembered across.
      np.testing.assert_array_equal(marked[:, length // 2 :], 0)

    check()

  @parameterized.parameters(*_PROBLEMS)
  def test_refuses_what_is_too_short(self, name):
    with self.assertRaisesRegex(ValueError, 'length is 9; .* at least 10'):
      _PROBLEMS[name](jax.random.key(0), 4, 9)
    with self.assertRaisesRegex(ValueError, 'batch_size is 0'):
      _PROBLEMS[name](jax.random.key(0), 0, 10)


if __name__ == '__main__':
  absltest.main()
