"""Tests for `x_ray/selection.py`."""

from absl.testing import absltest
import hypothesis
from hypothesis import strategies
from jaxdl.x_ray import selection

from tests.x_ray import made_lines


def _all(chosen):
  """All lines, those that are left out too."""
  for line in chosen:
    yield from line.lines if isinstance(line, selection.Rest) else [line]


def _names(chosen):
  return [x.name for x in chosen if not isinstance(x, selection.Rest)]


class ChooseTest(absltest.TestCase):
  def test_few_are_all_shown(self):
    lines = made_lines.stack(3)
    self.assertEqual(selection.choose(lines, 6), lines)

  def test_of_many_the_first_and_the_last_of_each_kind_are_shown(self):
    chosen = selection.choose(made_lines.stack(1000), 10)
    names = _names(chosen)
    for end in (0, 999):
      self.assertIn(f'blocks/dense[{end}]', names)
      self.assertIn(f'blocks/relu[{end}]', names)
    self.assertLen(names, 10)
    rests = [x for x in chosen if isinstance(x, selection.Rest)]
    self.assertLen(rests, 1)
    self.assertLen(rests[0].lines, 1990)

  def test_the_worst_are_shown_wherever_they_are(self):
    lines = made_lines.stack(1000)
    lines[777] = lines[777]._replace(backward_rms=1e-20)
    lines[801] = lines[801]._replace(verdict='dead')
    lines[1100] = lines[1100]._replace(nonfinite=3)
    names = _names(selection.choose(lines, 12))
    for i in (777, 801, 1100):
      self.assertIn(lines[i].name, names)

  def test_of_many_flagged_the_first_and_last_are_shown(self):
    lines = made_lines.stack(500)
    for i in range(201, 801, 2):
      lines[i] = lines[i]._replace(verdict='dead')
    names = _names(selection.choose(lines, 10))
    self.assertIn(lines[201].name, names)
    self.assertIn(lines[799].name, names)
    self.assertLen(names, 10)

  @hypothesis.given(
    strategies.integers(1, 40),
    strategies.integers(1, 20),
    strategies.sets(strategies.integers(0, 79)),
  )
  def test_keeps_all_in_their_order(self, depth, most, flagged):
    lines = [
      line._replace(verdict='dead' if i in flagged else '')
      for i, line in enumerate(made_lines.stack(depth))
    ]
    chosen = selection.choose(lines, most)
    self.assertEqual(list(_all(chosen)), lines)
    single = sum(
      1
      for line, after in zip(chosen, [*chosen[1:], None], strict=True)
      if isinstance(line, selection.Rest) and isinstance(after, selection.Rest)
    )
    self.assertEqual(single, 0)
    self.assertGreaterEqual(len(_names(chosen)), min(most, len(lines)))

  def test_refuses_none(self):
    with self.assertRaisesRegex(ValueError, '0 rows were asked for; give 1'):
      selection.choose(made_lines.stack(3), 0)


if __name__ == '__main__':
  absltest.main()
