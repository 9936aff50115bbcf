"""Tests for `x_ray/report.py`."""

import pathlib
from unittest import mock

from absl.testing import absltest
import jax
from jax import lax
import jax.numpy as jnp
import jaxdl
from jaxdl.x_ray import cures
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import finding
from jaxdl.x_ray import report as report_lib
import numpy as np

_FOUND = finding.Finding(
  'vanishing', 'layers/dense[29]', 'by 9 decades', ('normalize',)
)


def _loss(params, x):
  def layer(x, w):
    with jax.named_scope('dense'):
      return jnp.tanh(x @ w), None

  with jax.named_scope('stem'):
    x = x @ params['stem']
  with jax.named_scope('layers'):
    x, _ = lax.scan(layer, x, params['layers'])
  with jax.named_scope('head'):
    return jnp.mean((x @ params['head'] - 1) ** 2), x


def _examined():
  random = np.random.RandomState(0)
  draw = lambda *shape: jnp.asarray(random.randn(*shape), jnp.float32)
  params = {
    'stem': draw(3, 4),
    'layers': draw(60, 4, 4) / 4,
    'head': draw(4, 1),
  }
  return jaxdl.xray(_loss, params, draw(8, 3), has_aux=True)


class ReportTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.report = _examined()
    patched = mock.patch.object(diagnosis, 'diagnose', return_value=(_FOUND,))
    with patched as diagnose:
      cls.report.diagnose()
      diagnose.assert_called_once_with(cls.report.examination)

  def test_prints_the_sentence_the_table_and_the_findings(self):
    text = str(self.report)
    first, second, *_ = text.splitlines()
    self.assertEqual(
      first,
      f'Loss {self.report.examination.loss:#.3g}, 4 modules, 976 parameters',
    )
    self.assertEqual(second, 'Vanishing at layers/dense[29]')
    self.assertRegex(text, r'\nlayers/dense\[29\] .* ← vanishing\n')
    self.assertIn('rows like these', text)
    self.assertEndsWith(text, '   - normalize')
    self.assertLessEqual(max(map(len, text.splitlines())), 100)
    self.assertEqual(repr(self.report), text)

  def test_fits_a_narrow_terminal(self):
    with mock.patch.dict('os.environ', {'COLUMNS': '64'}):
      self.assertLessEqual(max(map(len, str(self.report).splitlines())), 64)

  def test_shows_as_many_rows_as_are_asked_for(self):
    every = self.report.to_text(max_rows=None)
    for i in range(60):
      self.assertIn(f'layers/dense[{i}]', every)
    few = self.report.to_text(max_rows=5)
    self.assertLess(len(few.splitlines()), 20)

  def test_diagnosis_is_a_sequence_of_findings(self):
    self.assertEqual(list(self.report.diagnose()), [_FOUND])

  def test_tries_cures_with_the_optimizer_that_was_given(self):
    with mock.patch.object(cures, 'try_cures') as tried:
      report = report_lib.Report(
        self.report.subject, self.report.examination, 'adam'
      )
      self.assertIs(report.try_cures(steps=3), tried.return_value)
      tried.assert_called_once_with(report.subject, 'adam', 3, None)

  def test_draws_a_picture(self):
    self.assertGreaterEqual(len(self.report.plot().axes), 3)

  def test_makes_a_dataset(self):
    made = self.report.to_xarray()
    self.assertEqual(made.sizes['module'], len(self.report.examination.rows))
    self.assertEqual(made.verdict.sel(module='layers/dense[29]'), 'vanishing')

  def test_saves_a_page(self):
    path = pathlib.Path(self.create_tempdir().full_path) / 'xray.html'
    self.report.save_html(path)
    text = path.read_text(encoding='utf-8')
    self.assertIn('<h1>X-ray: vanishing at layers/dense[29]</h1>', text)
    self.assertNotIn('{{', text)

  def test_a_notebook_shows_it(self):
    text = self.report._repr_html_()
    self.assertIn('vanishing', text)
    self.assertIn('data:image/png', text)


class XrayTest(absltest.TestCase):
  def test_examines_a_loss_and_judges_it(self):
    def loss(params, x):
      with jax.named_scope('dense'):
        return jnp.mean(x @ params['w'])

    params = {'w': jnp.ones((3, 2)), 'unused': jnp.ones(2)}
    report = jaxdl.xray(loss, params, jnp.ones((4, 3)))
    self.assertIsInstance(report, report_lib.Report)
    self.assertEqual(report.examination.loss, 3)
    self.assertEqual(
      tuple(report.diagnose()), tuple(diagnosis.diagnose(report.examination))
    )
    self.assertRegex(str(report), r'\ndense .*\n(.*\n)*unused ')


if __name__ == '__main__':
  absltest.main()
