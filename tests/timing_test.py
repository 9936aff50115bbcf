"""Tests for `timing.py`."""

from absl.testing import absltest
from jaxdl import timing


class InterleavedTest(absltest.TestCase):
  def test_sides_take_turns(self):
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in 'ab'}
    times = timing.interleaved(sides, 3)
    self.assertEqual(''.join(calls), 'ababab')
    self.assertEqual(
      {name: len(each) for name, each in times.items()}, {'a': 3, 'b': 3}
    )
    self.assertGreaterEqual(min(times['a'] + times['b']), 0)


if __name__ == '__main__':
  absltest.main()
