"""Tests for `catalogue.py`."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from benchmarks import catalogue

_BENCHMARKS = pathlib.Path(catalogue.__file__).parent
_MOST_MINUTES = 45


class CatalogueTest(parameterized.TestCase):
  @parameterized.parameters(*catalogue.ENTRIES)
  def test_entry_is_a_benchmark_and_knows_its_flags(self, *fields):
    entry = catalogue.Entry(*fields)
    source = (_BENCHMARKS / f'{entry.name}.py').read_text()
    self.assertIn('\n  reporting.run(main', source)
    for flag in (*entry.flags, *entry.quick):
      if flag == '--':  # What follows is of the study.
        break
      name = flag.removeprefix('--').partition('=')[0]
      self.assertRegex(source, rf"flags\.DEFINE_\w+\(\s*'{name}'")

  def test_commands_differ(self):
    commands = [entry.command for entry in catalogue.ENTRIES]
    self.assertLen(set(commands), len(commands))

  def test_default_ends_within_the_hour(self):
    seconds = sum(entry.seconds for entry in catalogue.select())
    self.assertLess(seconds, 60 * _MOST_MINUTES)
    full = sum(entry.seconds for entry in catalogue.select(full=True))
    self.assertGreater(full, seconds)

  def test_only_takes_names_in_the_order_of_the_table(self):
    chosen = catalogue.select(['vanishing', 'probe_overhead'])
    names = [entry.name for entry in chosen]
    self.assertEqual(names, ['probe_overhead', 'probe_overhead', 'vanishing'])

  def test_unknown_name_is_told_the_others(self):
    with self.assertRaisesRegex(ValueError, "'headlines'.*by headline, probe"):
      catalogue.select(['headlines'])


if __name__ == '__main__':
  absltest.main()
