"""Tests for `grid.py`."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
from jaxdl.sweep import grid
import numpy as np

_AXES = st.dictionaries(
  st.text(min_size=1, max_size=5),
  st.one_of(
    st.lists(st.integers(), min_size=1, max_size=4, unique=True),
    st.lists(st.text(max_size=4), min_size=1, max_size=4, unique=True),
  ),
  min_size=1,
  max_size=4,
)


class GridTest(parameterized.TestCase):
  @hypothesis.given(_AXES)
  def test_cells_are_the_product_in_order(self, axes):
    cells = grid.Grid(axes).cells()

    self.assertEqual(
      [tuple(cell.values()) for cell in cells],
      list(itertools.product(*axes.values())),
    )
    self.assertEqual({tuple(cell) for cell in cells}, {tuple(axes)})

  def test_last_axis_varies_fastest(self):
    cells = grid.Grid({'norm': ['none', 'batch'], 'seed': [0, 1]}).cells()
    self.assertEqual(cells[1], {'norm': 'none', 'seed': 1})

  def test_numpy_scalars_become_python_scalars(self):
    axes = grid.Grid(
      {'rate': np.array([0.5, 2.0]), 'depth': [np.int64(3)]}
    ).axes
    self.assertEqual(axes, {'rate': (0.5, 2.0), 'depth': (3,)})
    self.assertIs(type(axes['depth'][0]), int)
    self.assertIs(type(axes['rate'][0]), float)

  @parameterized.named_parameters(
    ('no_axes', {}, 'at least one axis'),
    ('empty_axis', {'depth': []}, "'depth' has no values"),
    ('duplicate', {'depth': [3, 4, 3]}, "'depth' has the value 3 twice"),
    ('equal_numbers', {'depth': [1, 1.0]}, "'depth' has the value 1.0 twice"),
    ('bare_string', {'norm': 'batch'}, r"give a list of values.*\['batch'\]"),
    ('bare_number', {'depth': 3}, r'give a list of values.*\[3\]'),
    ('mixed', {'clip': ['none', 1.0]}, "'clip' mixes strings and numbers"),
    ('nan', {'rate': [float('nan')]}, "'rate' has the value nan"),
    ('boolean', {'bias': [True]}, "'bias' has the value True"),
    ('nothing', {'norm': [None]}, "'norm' has the value None"),
  )
  def test_mistake_is_said_in_one_line(self, axes, message):
    with self.assertRaisesRegex(ValueError, message) as caught:
      grid.Grid(axes)
    self.assertNotIn('\n', str(caught.exception))


if __name__ == '__main__':
  absltest.main()
