"""Tests for `figures.py` and `overview.py`."""

import html
import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import diagnosis
from jaxdl.report import figures
from jaxdl.report import overview
from jaxdl.report import tables
from matplotlib import figure as figure_lib
from matplotlib import image
import numpy as np

from tests import synthetic_record

_STACK = {
  'model': 'mlp',
  'activation': 'tanh',
  'shortcut': 'none',
  'init': 'lecun',
  'bias_std': 0.0,
  'batch_size': 32,
}


def _summary(record):
  return tables.summary(diagnosis.diagnose(record))


def _texts(figure):
  """Reads the words of a figure from its SVG."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'figure.svg'
    figures.save(figure, path)
    svg = path.read_text(encoding='utf-8')
  return re.findall(r'<text[^>]*>([^<]*)</text>', svg)


def _num_colors(figure):
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'figure.png'
    figures.save(figure, path)
    pixels = np.rint(255 * image.imread(path)[..., :3]).astype(int)
  return len(np.unique(pixels @ [1, 256, 256**2]))


class FiguresTest(parameterized.TestCase):
  def test_names_are_shown_as_they_are(self):
    names = [r'$\undefined$ $', '$x$<b>&"[/]', '\x1b[31m\udcff\n.']
    cells = [{'norm': name} for name in names]
    record = synthetic_record.make(cells, ['healthy'] * 3, num_steps=3)
    names[-1] = r'\x1b[31m\udcff\n.'
    for draw in (figures.training_curves, overview.draw):
      shown = map(html.unescape, _texts(draw(record, _summary(record))))
      shown = ' '.join(shown)
      for name in names:
        self.assertIn(name, shown)

  def test_every_figure_shows_lines_and_labels(self):
    cells = [
      {'activation': activation, 'norm': norm, 'clip': clip}
      for activation in ('sigmoid', 'relu')
      for norm in ('none', 'batch')
      for clip in ('none', 'norm:1.0')
    ]
    kinds = ['vanishing'] * 2 + ['healthy'] * 4 + ['dead', 'diverged']
    record = synthetic_record.make(cells, kinds, num_steps=20)
    drawn = dict(figures.all_figures(record, _summary(record)))
    self.assertCountEqual(
      drawn,
      ['gradient_profile', 'activation_profile', 'training_curves', 'overview'],
    )
    for name, figure in drawn.items():
      self.assertGreater(_num_colors(figure), 20)
      texts = _texts(figure)
      expected = {'sigmoid', 'relu'}
      if name != 'overview':
        expected |= {'no cure', 'norm=batch', 'norm=batch + clip=norm:1.0'}
      self.assertContainsSubset(expected, texts, name)

  def test_profile_draws_the_medians(self):
    cells = [{'norm': norm, 'seed': seed} for norm in 'ab' for seed in range(3)]
    record = synthetic_record.make(cells, ['vanishing'] * 6, num_steps=20)
    figure = figures.gradient_profile(record, _summary(record))
    start, end = figure.axes
    rms = record['cotangent_rms'].values[..., :-1]
    np.testing.assert_allclose(
      start.lines[0].get_ydata(), np.median(rms[:3, 0], axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(
      end.lines[1].get_ydata(),
      np.median(rms[3:, 18:].reshape(-1, 10), axis=0),
      rtol=1e-6,
    )
    self.assertEqual(start.get_yscale(), 'log')
    self.assertEqual(start.get_ylim(), end.get_ylim())

  def test_limits_are_finite_where_theory_leaves_what_float_can_hold(self):
    axes = figure_lib.Figure().subplots()
    figures._set_log_scale(axes, np.float32(1e-40), 1e300)
    self.assertEqual(axes.get_yscale(), 'log')
    low, high = axes.get_ylim()
    self.assertBetween(low, 1e-45, 1e-40)
    self.assertBetween(high, 1e38, 1e50)

  def test_theory_lies_over_the_first_step(self):
    cells = [
      {**_STACK, 'norm': norm, 'clip': clip}
      for norm in ('none', 'batch', 'layer')
      for clip in ('none', 'norm:1.0')
    ]
    record = synthetic_record.make(cells, ['healthy'] * 6, num_steps=20)
    record['activation_std'].values[:] = 0.6
    frame = _summary(record)
    for draw in (figures.gradient_profile, figures.activation_profile):
      figure = draw(record, frame)
      # Lines of 2 panels; of layer norm theory says nothing.
      count = [len(axes.lines) for axes in figure.axes[:6]]
      self.assertEqual(count, [4, 4, 2, 2, 2, 2])
      measured, theory = figure.axes[0].lines[0], figure.axes[0].lines[2]
      self.assertEqual(measured.get_color(), theory.get_color())
      self.assertLess(theory.get_linewidth(), measured.get_linewidth())
      self.assertTrue(theory.is_dashed())
      self.assertIn('theory, infinite width', _texts(figure))
    theory = figure.axes[0].lines[2].get_ydata()
    self.assertAlmostEqual(theory[0], 0.6, delta=1e-6)
    self.assertNotIn(
      'theory, infinite width', _texts(figures.training_curves(record, frame))
    )

  def test_what_diverged_leaves_the_panel(self):
    cells = [{'norm': norm} for norm in 'abc']
    kinds = ['healthy', 'healthy', 'diverged']
    record = synthetic_record.make(cells, kinds)
    record['loss'].values[2, :13] = np.geomspace(2, 1e30, 13)
    record['activation_std'].values[2, -4:, :] = 1e30
    frame = _summary(record)
    curves = figures.training_curves(record, frame)
    profile = figures.activation_profile(record, frame)
    for axes in (curves.axes[0], profile.axes[1]):
      low, high = axes.get_ylim()
      self.assertBetween(high, low, 1e3 * low)
      lines = [line.get_ydata() for line in axes.lines]
      self.assertGreater(np.nanmax(lines[2]), 1e29)
      self.assertLess(np.max(lines[:2]), high)

  def test_all_that_diverged_stay(self):
    record = synthetic_record.make([{'norm': 'a'}], ['diverged'])
    record['loss'].values[0, :13] = np.geomspace(2, 1e30, 13)
    figure = figures.training_curves(record, _summary(record))
    self.assertGreater(figure.axes[0].get_ylim()[1], 1e30)

  def test_shares_are_drawn_where_there_are_any(self):
    cells = [{'norm': norm} for norm in 'ab']
    record = synthetic_record.make(cells, ['healthy'] * 2)
    record['activation_dead'].values[:] = 0
    record['activation_dead'].values[:, 0] = 0.5  # At the first step alone.
    record['activation_saturated'].values[1, -1, 3] = 0.5
    texts = _texts(figures.activation_profile(record, _summary(record)))
    self.assertNotIn('Dead share at the end', texts)
    self.assertIn('Saturated share at the end', texts)

  def test_overview_writes_accuracy_and_verdict(self):
    cells = [{'norm': norm} for norm in ('none', 'batch')]
    record = synthetic_record.make(cells, ['vanishing', 'healthy'])
    record['test_accuracy'].values[:] = 0.123, 0.876
    texts = _texts(overview.draw(record, _summary(record)))
    self.assertContainsSubset({'12 V', '88 H', 'none', 'batch', 'norm'}, texts)

  @parameterized.named_parameters(
    ('one_cell', [{'activation': 'tanh'}], 1),
    ('one_layer', [{'activation': a} for a in 'ab'], 1),
    ('numbers', [{'learning_rate': r} for r in (0.1, 0.2, 0.4)], 5),
    ('two_numbers', [{'width': w, 'q': q} for w in (2, 4) for q in (1, 2)], 5),
  )
  def test_few_configurations(self, cells, depth):
    record = synthetic_record.make(
      cells, ['healthy'] * len(cells), num_steps=3, depth=depth
    )
    for _, figure in figures.all_figures(record, _summary(record)):
      self.assertGreater(_num_colors(figure), 5)

  def test_many_configurations(self):
    cells = [
      {'activation': f'f{i}', 'norm': f'n{j}', 'clip': f'c{k}'}
      for i in range(5)
      for j in range(8)
      for k in range(5)
    ]
    record = synthetic_record.make(
      cells, ['healthy'] * len(cells), num_steps=2, depth=3
    )
    frame = _summary(record)
    texts = ' '.join(_texts(figures.gradient_profile(record, frame)))
    self.assertIn('40 combinations, too many to name', texts)
    self.assertGreater(_num_colors(overview.draw(record, frame)), 20)

  def test_nothing_finite_draws_empty_panels(self):
    record = synthetic_record.make([{'norm': 'none'}], ['nan'])
    figure = figures.gradient_profile(record, _summary(record))
    self.assertTrue(np.isnan(figure.axes[0].lines[0].get_ydata()).all())
    self.assertIn('layer', _texts(figure))


if __name__ == '__main__':
  absltest.main()
