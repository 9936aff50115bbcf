"""Tests for `markdown.py`."""

from absl.testing import absltest
from benchmarks import markdown
from benchmarks import running

from tests.benchmarks import recorded


class RenderTest(absltest.TestCase):
  def test_rows_of_ratios(self):
    text = markdown.render(recorded.record(), [])
    goals, _, others = text.partition('## Without a goal')
    self.assertIn(
      '| `./run.sh benchmark headline` | the study against a loop | '
      '**2.00x** as fast (1.50x to 2.00x in 3 rounds): 210 s against 400 s; '
      'of the cores 2.00x | at least 3x | not met |\n',
      goals,
    )
    self.assertIn(
      '| **1.050x**: 6.3 ms against 6 ms | at most 1.07x | met', goals
    )
    self.assertIn(
      r'| the same \| without a goal | **1.050x**: 6.3 ms against 6 ms |',
      others,
    )

  def test_counts_are_a_table_of_sides(self):
    text = markdown.render(recorded.record(), [])
    self.assertEndsWith(
      text,
      '## What does vanishing ask?\n\n`./run.sh benchmark vanishing`\n\n'
      '| | adam | gradient descent |\n|---|---|---|\n'
      '| relu, 3.6 powers of ten lost | 86 steps | over 600 steps |\n'
      '| tanh, 3.6 powers of ten lost | 86 steps | over 600 steps |\n',
    )

  def test_tables_are_whole(self):
    text = markdown.render(recorded.record(), [])
    for block in text.split('\n\n'):
      rows = [
        row.replace(r'\|', '') for row in block.split('\n') if row[:1] == '|'
      ]
      self.assertLessEqual(len({row.count('|') for row in rows}), 1, block)

  def test_says_where_once(self):
    text = markdown.render(recorded.record(), ['figures/overview.svg'])
    self.assertEqual(text.count('Imaginary 9000'), 1)
    self.assertIn('Measured on 2026-11-28: Imaginary 9000, 2 cores; ', text)
    self.assertIn('It took 3 minutes', text)
    self.assertIn('](figures/overview.svg)', text)

  def test_says_which_is_of_another_day_or_machine(self):
    first, second, _ = recorded.record().results
    other = second._replace(date='2027-01-01T00:00:00+00:00')
    text = markdown.render(running.Record(False, (first, other)), [])
    self.assertIn('on 2026-11-28 (headline): Imaginary', text)
    self.assertIn('on 2027-01-01 (overhead): Imaginary', text)

  def test_says_what_failed_and_that_it_was_quick(self):
    failure = running.Failure('python -m benchmarks.xray', 'no memory')
    text = markdown.render(recorded.record(quick=True, failures=(failure,)), [])
    self.assertStartsWith(text, '**A quick run')
    self.assertIn('`python -m benchmarks.xray` failed: no memory\n', text)


if __name__ == '__main__':
  absltest.main()
