"""Tests for `x_ray/naming.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.x_ray import naming

_PARAMETERS = (
  'blocks/0/dense/kernel',
  'blocks/0/norm/scale',
  'blocks/1/dense/kernel',
  'blocks/1/norm/scale',
  'head/kernel',
)


def _path(text):
  return tuple(text.split('/'))


class NamingTest(parameterized.TestCase):
  @parameterized.parameters(
    # As the module that calls it refers to it.
    ('blocks.0/dense', 'blocks/0/dense'),
    # A class whose parts are known: less what they are called in it.
    ('.Block', 'blocks/0'),
    ('.Block/dense', 'blocks/0/dense'),
    # A class that has parameters of its own.
    ('.Head', 'head'),
    # A class without any is named as such.
    ('.Block/.Dropout', 'blocks/0/Dropout'),
    ('blocks.0/.Dropout', 'blocks/0/Dropout'),
    # A scope that Equinox opens in a module.
    ('blocks.0/dense/eqx.nn.Linear', 'blocks/0/dense'),
  )
  def test_module(self, scope, expected):
    uses = {
      _path('.Block/dense'): (0,),
      _path('.Block/norm'): (1,),
      _path('blocks.1/dense'): (2,),
      _path('blocks.1/norm'): (3,),
      ('.Head',): (4,),
    }
    self.assertEqual(naming.Naming(uses, _PARAMETERS).module(scope), expected)

  def test_the_whole_model_has_no_name(self):
    uses = {_path('Net/blocks_0'): (0,), _path('Net/head'): (1,)}
    names = naming.Naming(uses, ('blocks_0/kernel', 'head/kernel'))
    self.assertEqual(names.module('Net'), '')
    self.assertEqual(names.module('Net/head'), 'head')
    self.assertEqual(names.module('loss'), 'loss')

  def test_a_scope_that_is_a_module_stays(self):
    uses = {_path('net/a'): (0,), _path('net/b'): (1,)}
    names = naming.Naming(uses, ('net/a/kernel', 'net/b/kernel'))
    self.assertEqual(names.module('net/a'), 'net/a')


if __name__ == '__main__':
  absltest.main()
