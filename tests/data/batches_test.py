"""Tests for `batches.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.data import batches
import numpy as np


@strategies.composite
def _problems(draw):
  """A seed, a batch size, a number of examples, a start and a length."""
  num_examples = draw(strategies.integers(1, 40))
  return (
    draw(strategies.integers(0, 2**64 - 1)),
    draw(strategies.integers(1, num_examples)),
    num_examples,
    draw(strategies.integers(0, 60)),
    draw(strategies.integers(0, 60)),
  )


class BatchIndicesTest(parameterized.TestCase):
  @hypothesis.settings(deadline=None, max_examples=200)
  @hypothesis.given(_problems())
  def test_any_start_agrees_with_a_run_from_the_first_step(self, problem):
    seed, batch_size, num_examples, start, length = problem
    whole = batches.batch_indices(
      seed, 0, start + length, batch_size, num_examples
    )
    part = batches.batch_indices(seed, start, length, batch_size, num_examples)
    self.assertEqual(part.shape, (length, batch_size))
    self.assertEqual(part.dtype, np.int32)
    np.testing.assert_array_equal(part, whole[start:])

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(_problems())
  def test_an_epoch_has_no_example_twice(self, problem):
    seed, batch_size, num_examples, epoch, _ = problem
    steps = num_examples // batch_size
    rows = batches.batch_indices(
      seed, epoch * steps, steps, batch_size, num_examples
    )
    self.assertLen(np.unique(rows), steps * batch_size)
    self.assertBetween(rows.min(), 0, num_examples - 1)
    self.assertBetween(rows.max(), 0, num_examples - 1)

  def test_an_epoch_is_a_permutation_where_the_batch_divides_it(self):
    rows = batches.batch_indices(3, 0, 3 * 25, 4, 100).reshape(3, 100)
    np.testing.assert_array_equal(
      np.sort(rows, axis=1), np.tile(np.arange(100), (3, 1))
    )

  def test_epochs_and_seeds_are_shuffled_apart(self):
    rows = np.concatenate(
      [
        batches.batch_indices(seed, 0, 2, 500, 500)
        for seed in (0, 1, 2**63, 2**64 - 1)
      ]
    )
    agreement = np.mean(rows[:, None] == rows[None], axis=-1)
    self.assertLess(np.max(agreement - np.eye(len(rows))), 0.02)

  def test_every_example_is_equally_likely_at_every_place(self):
    rows = batches.batch_indices(0, 0, 6000, 6, 6)
    counts = [np.bincount(column, minlength=6) for column in rows.T]
    # Binomial: 1000 expected, standard deviation 29.
    np.testing.assert_allclose(counts, 1000, atol=5 * 29)

  def test_the_order_is_the_one_it_has_always_been(self):
    np.testing.assert_array_equal(
      batches.batch_indices(0, 5, 3, 4, 100),
      [[8, 13, 82, 35], [5, 56, 16, 58], [73, 39, 88, 97]],
    )

  @parameterized.named_parameters(
    ('batch_too_large', (0, 0, 1, 11, 10), 'only 10 training examples'),
    ('empty_batch', (0, 0, 1, 0, 10), 'batch_size is 0'),
    ('negative_start', (0, -1, 1, 1, 10), 'start_step is -1'),
    ('negative_length', (0, 0, -1, 1, 10), 'num_steps is -1'),
    ('negative_seed', (-1, 0, 1, 1, 10), 'seed is -1'),
    ('wide_seed', (2**64, 0, 1, 1, 10), 'below 2'),
  )
  def test_bad_arguments_are_refused(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      batches.batch_indices(*arguments)


if __name__ == '__main__':
  absltest.main()
