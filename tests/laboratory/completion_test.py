"""Tests for `completion.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.laboratory import completion
from jaxdl.models import zoo


def _cell(**axes):
  return laboratory.DEFAULTS | axes


class CompleteTest(parameterized.TestCase):
  @parameterized.parameters(
    ('resnet20', 'batch', 'identity'),
    ('resnet50', 'batch', 'projection'),
    ('plain20', 'batch', 'none'),
    ('vgg16_cifar', 'none', 'none'),
    ('highway', 'none', 'highway'),
    ('mlp', 'none', 'none'),
  )
  def test_own_becomes_what_it_stands_for(self, model, norm, shortcut):
    cell = completion.complete(_cell(model=model, norm='own', shortcut='own'))
    self.assertEqual((cell['norm'], cell['shortcut']), (norm, shortcut))
    static, _ = laboratory.split(cell)
    self.assertEqual(static.norm, norm)

  def test_numbers_stay_with_their_choice(self):
    cell = completion.complete(_cell(model='resnet20', shortcut='own:0.5'))
    self.assertEqual(cell['shortcut'], 'identity:0.5')
    _, dynamic = laboratory.split(cell)
    self.assertEqual(dynamic['shortcut.residual_scale'], 0.5)

  def test_a_model_keeps_its_own_sizes_at_any_depth(self):
    for depth in (30, 5):
      cell = completion.complete(_cell(model='resnet32', depth=depth))
      self.assertEqual((cell['depth'], cell['width']), (16, 0))

  def test_a_model_that_takes_sizes_gets_them(self):
    cell = completion.complete(_cell(depth=7, width=9))
    self.assertEqual((cell['depth'], cell['width']), (7, 9))

  @parameterized.parameters(
    ('norm', 'bath', "norm of mlp is 'bath'; possible: none, batch"),
    (
      'shortcut',
      'skip',
      "is 'skip'; possible: none, identity, highway; or own",
    ),
    ('model', 'resnet21', "Unknown architecture 'resnet21'"),
  )
  def test_says_what_is_wrong_in_one_line(self, axis, value, message):
    with self.assertRaises(ValueError) as caught:
      completion.complete(_cell(**{axis: value}))
    self.assertIn(message, str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_toggle_without_meaning_is_refused(self):
    with self.assertRaisesRegex(ValueError, 'plain20 has no shortcuts'):
      completion.complete(_cell(model='plain20', shortcut='identity'))

  def test_auxiliary_classifiers_are_no_part_of_the_depth(self):
    names = completion.layer_names('googlenet_auxiliary')
    self.assertEqual(names[-3:], ('readout', 'auxiliary1', 'auxiliary2'))
    plain, heads = (
      completion.complete(_cell(model=model))['depth']
      for model in ('googlenet', 'googlenet_auxiliary')
    )
    self.assertEqual(plain, heads)

  def test_models_that_take_sizes(self):
    self.assertEqual(
      completion.sized_models(), ('mlp', 'cnn', 'highway', 'highway_cnn')
    )


class DistinctTest(parameterized.TestCase):
  def _cells(self, **axes):
    grid = sweep.Grid({k: [v] for k, v in laboratory.DEFAULTS.items()} | axes)
    return completion.distinct(grid.cells())

  def test_sizes_apply_to_the_models_that_take_them(self):
    cells = self._cells(model=['resnet20', 'mlp', 'plain20'], depth=[5, 9])
    self.assertEqual(
      [(cell['model'], cell['depth'], cell['width']) for cell in cells],
      [
        ('resnet20', 10, 0),
        ('mlp', 5, 128),
        ('mlp', 9, 128),
        ('plain20', 10, 0),
      ],
    )

  def test_own_beside_what_it_stands_for_is_trained_once(self):
    cells = self._cells(
      model=['resnet20', 'mlp'], norm=['own', 'batch', 'none'], seed=[0, 1]
    )
    self.assertEqual(
      [(cell['model'], cell['norm'], cell['seed']) for cell in cells],
      [
        (model, norm, seed)
        for model, norms in (
          ('resnet20', ('batch', 'none')),
          ('mlp', ('none', 'batch')),
        )
        for norm in norms
        for seed in (0, 1)
      ],
    )

  @hypothesis.given(
    models=strategies.lists(
      strategies.sampled_from(('mlp', 'resnet20', 'plain20', 'highway')),
      min_size=1,
      unique=True,
    ),
    norms=strategies.permutations(('own', 'batch', 'none')),
    depths=strategies.lists(
      strategies.integers(1, 40), min_size=1, max_size=3, unique=True
    ),
  )
  def test_every_cell_is_there_once_and_complete(self, models, norms, depths):
    shortcut = ['own']
    cells = self._cells(
      model=models, norm=norms, depth=depths, shortcut=shortcut
    )
    keys = [tuple(cell.items()) for cell in cells]
    self.assertLen(set(keys), len(keys))
    counts = {
      model: 2 * (len(depths) if model in ('mlp', 'highway') else 1)
      for model in models
    }
    for model, count in counts.items():
      self.assertEqual(sum(c['model'] == model for c in cells), count, model)
    for cell in cells:
      self.assertEqual(completion.complete(cell), cell)
      self.assertIn(cell['shortcut'], zoo.architecture(cell['model']).shortcuts)


if __name__ == '__main__':
  absltest.main()
