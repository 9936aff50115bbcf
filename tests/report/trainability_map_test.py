"""Tests for `report/trainability_map.py`."""

import html
import io
import re

from absl.testing import absltest
from jaxdl.report import trainability
from jaxdl.report import trainability_map
import numpy as np
import pandas as pd
import rich.console

from tests.report import hostile
from tests.report import trainability_test


class _MapTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.record = trainability_test.by_scales(6)
    self.frame = trainability_test.summary(6)
    self.boundaries = trainability_test.boundaries()


def _shown(frame):
  """The heading, and the words of each row, as a narrow console has them."""
  printed = io.StringIO()
  console = rich.console.Console(file=printed, width=60)
  trainability_map.show(frame, console)
  assert console.width == 60
  heading, head, _, *rows = filter(str.strip, printed.getvalue().splitlines())
  return (
    heading,
    head.split(),
    {row.split()[0]: row.split()[1:] for row in rows},
  )


class ShowTest(_MapTest):
  def test_shows_percents_and_marks_what_theory_expects(self):
    heading, head, rows = _shown(self.frame)
    self.assertIn('bias_std 0.2236', heading)
    self.assertEqual(head, 'depth 1 1.2 1.33 1.5 2'.split())
    self.assertEqual(list(rows), '300 120 80 60 40 20 10 5'.split())
    # As the record was made by the rule, what trains is marked.
    self.assertEqual(rows['5'], ['80*'] * 5)
    self.assertEqual(rows['300'], ['10', '10', '80*', '10', '10'])

  def test_a_wide_map_is_not_cut(self):
    parts = [
      self.frame.assign(weight_std=self.frame['weight_std'] + shift)
      for shift in (0.0, 1.01, 2.02, 3.03)
    ]
    _, head, rows = _shown(pd.concat(parts))
    self.assertLen(head, 1 + 20)
    self.assertEqual(rows['5'], ['80*'] * 20)


class FigureTest(_MapTest):
  def test_draws_accuracy_and_the_curve(self):
    drawn = trainability_map.figure(self.record, self.frame, self.boundaries)
    axes, colorbar = drawn.axes
    self.assertEqual(colorbar.get_ylabel(), 'training accuracy')
    (mesh,) = axes.collections
    np.testing.assert_allclose(mesh.get_array().max(), 0.8)
    curve = axes.lines[1].get_xydata()
    at = np.argmin(np.abs(curve[:, 0] - 1.0))
    xi_c = self.frame[self.frame['weight_std'] == 1.0]['xi_c'].iloc[0]
    np.testing.assert_allclose(curve[at], [1.0, 6 * xi_c])

  def test_one_network_and_no_curve(self):
    made = trainability_test.record(
      lambda *_: True, 'relu', weight_stds=(2**0.5,), bias_std=0.0
    )
    made = made.isel(cell=made['depth'].values == 5)
    frame = trainability.summary(made)
    boundaries = trainability.boundaries(frame, 'relu')
    drawn = trainability_map.figure(made, frame, boundaries)
    path = self.create_tempfile('one.png').full_path
    drawn.savefig(path)


class PageTest(_MapTest):
  def test_holds_every_number_and_needs_nothing_else(self):
    text = trainability_map.page(
      self.record, self.frame, self.boundaries, ['1 < 2 & so on.']
    )
    self.assertIn('1 &lt; 2 &amp; so on.', text)
    told = re.findall(r'<td[^>]* title="([^"]*)"', text)
    self.assertLen(told, len(self.frame))
    self.assertIn(
      'depth 300, weight_std 1: training accuracy 10.0%, test 5.0%',
      html.unescape(told[0]),
    )
    self.assertEqual(
      text.count('class=expected'),
      (self.frame['depth'] <= 6 * self.frame['xi_c']).sum(),
    )
    outside = set(re.findall(r'(?:src|href)="(https?:[^"]*)"', text))
    self.assertEqual(outside, {'https://arxiv.org/abs/1611.01232'})

  def test_no_text_makes_an_element(self):
    named = self.record.assign_attrs(data=hostile.TEXT, command=hostile.TEXT)
    page = trainability_map.page(
      named, self.frame, self.boundaries, [hostile.TEXT]
    )
    plain = trainability_map.page(
      self.record, self.frame, self.boundaries, ['']
    )
    found = hostile.elements(page)
    # Of the figure, as many as its title has lines.
    del found['text'], found['tspan']
    expected = hostile.elements(plain)
    del expected['text'], expected['tspan']
    self.assertEqual(found, expected)


if __name__ == '__main__':
  absltest.main()
