"""Tests for `experiments/atlas.py`, as its users run it."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from experiments import facts
from jaxdl import atlas
from jaxdl.atlas import facts as facts_lib
from jaxdl.report import atlas_page
import pandas as pd
import xarray as xr

from tests.experiments import study


class AtlasTest(study.Study):
  experiment = 'atlas'
  small = ('--only=backpropagation',)

  def test_measures_judges_writes_and_resumes(self):
    printed = self.succeed()
    self.assertRegex(printed, r'1/1 backpropagation +\d+\.\d s')
    self.assertRegex(printed, r'Backpropagation: local.* confirmed')
    self.assertEqual(
      sorted(path.name for path in self.out.iterdir()),
      ['atlas.csv', 'atlas.html', 'atlas.md', 'backpropagation'],
    )
    self.assertEqual(
      sorted(path.name for path in (self.out / 'backpropagation').iterdir()),
      ['backpropagation.png', 'backpropagation.svg', 'data.zarr'],
    )
    rows = pd.read_csv(self.out / 'atlas.csv')
    self.assertEqual(set(rows['verdict']), {'confirmed'})
    data_path = self.out / 'backpropagation/data.zarr'
    with xr.open_zarr(data_path) as data:
      self.assertEqual(data.attrs['num_seeds'], atlas.MIN_SEEDS)
    page = (self.out / 'atlas.html').read_text()
    self.assertIn('./run.sh atlas --only=backpropagation --num_seeds=6', page)

    measured_at = data_path.stat().st_mtime_ns
    resumed = self.succeed('--resume')
    self.assertNotIn('1/1', resumed)
    self.assertEqual(data_path.stat().st_mtime_ns, measured_at)

    self.assert_mistake(
      self.run_study('--resume', '--num_seeds=7', '--out=out'),
      'was measured over 6 seeds; resume with --num_seeds=6',
    )
    self.assert_mistake(
      self.run_study('--resume', '--overwrite', '--out=out'),
      '--resume and --overwrite exclude each other',
    )
    (self.out / 'thesis.txt').touch()
    self.assert_mistake(
      self.run_study('--resume', '--out=out'), 'such as thesis.txt'
    )
    (self.out / 'thesis.txt').unlink()
    self.assert_mistake(
      self.run_study('--out=out'), 'out holds results already; use --overwrite'
    )
    (data_path / '.zmetadata').write_text('{"metadata": 1}')
    self.assert_mistake(
      self.run_study('--resume', '--out=out'), 'is damaged (', 'remove it'
    )

  def test_lists(self):
    done = self.run_study('--list')
    self.assertRegex(done.stdout, r'backpropagation +Backpropagation: local')

  @parameterized.parameters(
    ('--only=sigmoidal', "no fact is called 'sigmoidal'; there are backprop"),
    ('--only=', '--only is empty'),
    ('--num_seeds=5', 'num_seeds'),
    ('--resume', '--resume needs --out'),
    ('--resume --out=no/such', 'there is no no/such to resume; check --out'),
  )
  def test_mistake_is_one_line(self, argument, message):
    self.assert_mistake(self.run_study(*argument.split()), message)

  def test_full_and_seeds_contradict(self):
    self.assert_mistake(
      self.run_study('--full', '--num_seeds=8'), '--full chooses the seeds'
    )


class FactsTest(parameterized.TestCase):
  def test_names_are_the_modules(self):
    folder = pathlib.Path(facts.__file__).parent
    modules = {path.stem for path in folder.glob('[!_]*.py')}
    self.assertEqual(set(facts.NAMES), modules)
    self.assertLen(set(facts.NAMES), len(facts.NAMES))

  @parameterized.parameters(*facts.NAMES)
  def test_states_its_claim_source_and_rule_and_its_formulas_can_be_drawn(
    self, name
  ):
    module = facts.load(name)
    self.assertTrue(all(facts_lib.statement(module.__doc__)))
    self.assertNotEmpty(module.FACT.formulas)
    for formula in module.FACT.formulas:
      self.assertIn('<img', atlas_page.formula_image(formula))


if __name__ == '__main__':
  absltest.main()
