"""Tests for `experiments/xray.py`, as its users run it."""

import csv

from absl.testing import absltest
from absl.testing import parameterized

from tests.experiments import study

_MODEL = """
import jax
import jax.numpy as jnp
import numpy as np


def make_loss():
  rng = np.random.RandomState(0)
  shapes = [(4, 4)] * 6
  params = [jnp.asarray(0.05 * rng.randn(*s), jnp.float32) for s in shapes]

  def loss(params, x):
    for i, w in enumerate(params):
      with jax.named_scope(f'layer{i}'):
        x = jnp.tanh(x @ w)
    return jnp.mean((x - 1) ** 2)

  return loss, params, jnp.asarray(rng.randn(8, 4), jnp.float32)


def shallow():
  loss = lambda w, x: jnp.mean((x @ w['kernel'] - 1) ** 2)
  return loss, {'kernel': jnp.zeros((4, 2))}, jnp.eye(4)


class Made:
  vector = staticmethod(lambda: (lambda w, x: w * x, jnp.ones(3), jnp.ones(3)))


number = 3
nothing = lambda: None
pair = lambda: (3, jnp.ones(3))


def broken():
  return {}['key']
"""


class XrayTest(study.Study):
  experiment = 'xray'
  small = ()

  def setUp(self):
    super().setUp()
    (self.folder / 'mine.py').write_text(_MODEL)
    (self.folder / 'lacks.py').write_text('import not_installed_anywhere')

  def test_prints_and_writes_what_it_found(self):
    printed = self.succeed(
      '--target=mine:make_loss', '--try_cures', lowered=True
    )
    self.assertIn('vanishing', printed)
    self.assertRegex(printed, r'After 20 steps: \d of 10 help, best first')
    self.assertRegex(printed, r'(?s)\+ +kernels scaled as .* no change')
    self.assertIn('Report: out/xray.html', printed)
    written = sorted(path.name for path in self.out.iterdir())
    self.assertEqual(
      written, ['modules.csv', 'parameters.csv', 'xray.html', 'xray.png']
    )
    with open(self.out / 'modules.csv') as file:
      rows = {row['module']: row for row in csv.DictReader(file)}
    self.assertLess(float(rows['layer0']['cotangent_rms']), 1e-6)
    self.assertIn('<html', (self.out / 'xray.html').read_text())
    again = self.run_study('--target=mine:make_loss', '--out=out')
    self.assert_mistake(again, 'out holds results already; use --overwrite')

  def test_trains_before(self):
    for steps in (1, 3):
      printed = self.succeed(
        '--target=mine:shallow',
        f'--steps={steps}',
        '--learning_rate=0.2',
        out=f'after{steps}',
      )
      # Each step takes a twentieth of the distance.
      loss = (1 - 0.2 / 4) ** (2 * steps)
      shown = float(printed.split()[1].rstrip(','))
      self.assertAlmostEqual(shown, loss, delta=0.001)

  @parameterized.parameters(
    ('', 'names no function; give package.module:function'),
    ('mine', 'names no function'),
    ('mine:', 'names no function'),
    ('nowhere:make', 'there is no module nowhere here or among'),
    ('mine.below:make', 'there is no module mine.below'),
    ('mine:make', 'mine has no make'),
    ('mine:number', 'is of type int; give a function that returns'),
    ('mine:nothing', 'returns NoneType; return (loss_fn, model, *batch)'),
    ('mine:pair', 'returns (int, '),
    ('mine:Made.vector', 'the loss must be one real number; it is float32[3]'),
  )
  def test_says_what_is_wrong_in_one_line(self, target, message):
    done = self.run_study(f'--target={target}')
    self.assert_mistake(done, message)
    self.assertEqual(done.stdout, '')

  @parameterized.parameters(
    ('lacks:make', 'not_installed_anywhere'), ('mine:broken', "KeyError: 'key'")
  )
  def test_errors_of_the_users_own_keep_their_traceback(self, target, error):
    done = self.run_study(f'--target={target}')
    self.assertEqual(done.returncode, 1)
    self.assertIn('Traceback', done.stderr)
    self.assertIn(error, done.stderr)


if __name__ == '__main__':
  absltest.main()
