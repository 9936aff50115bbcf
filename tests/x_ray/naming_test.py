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
    # A method, and what it calls.
    ('blocks.0:halved', 'blocks/0/halved'),
    ('blocks.0:halved/dense', 'blocks/0/dense'),
    # The whole model, and a method of it.
    ('.', ''),
    ('./blocks.0/dense', 'blocks/0/dense'),
    ('.:loss', 'loss'),
    # The equation of an einsum.
    ('blocks.0/bqhd,bkhd->bhqk', 'blocks/0/einsum'),
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

  def test_several_models_are_named_as_their_parameters(self):
    uses = {_path('Net/in'): (0,), _path('Critic/out'): (1,)}
    names = naming.Naming(uses, ('generator/in/kernel', 'critic/out/kernel'))
    self.assertEqual(names.module('Net/in'), 'generator/in')
    self.assertEqual(names.module('Net'), 'generator')
    self.assertEqual(names.module('Critic/relu'), 'critic/relu')

  def test_a_scope_that_is_a_module_stays(self):
    uses = {_path('net/a'): (0,), _path('net/b'): (1,)}
    names = naming.Naming(uses, ('net/a/kernel', 'net/b/kernel'))
    self.assertEqual(names.module('net/a'), 'net/a')

  @parameterized.parameters(
    # Linen runs a cell within another module; the cell is a child of the model.
    ('Net/RNN_0/Cell_0.scan_fn/Cell_0/dense', 'Cell_0/dense'),
    ('Net/RNN_0', 'RNN_0'),
    ('Net/Net.encode', 'encode'),
    ('Net/in/in.outer/in.inner', 'in/inner'),
    # Linen's method of another module.
    ('Net/embed.attend', 'embed/attend'),
  )
  def test_linen_scopes_that_are_no_modules(self, scope, expected):
    uses = {
      _path('Net/RNN_0/Cell_0.scan_fn/Cell_0/dense'): (0,),
      _path('Net/embed.attend'): (1,),
    }
    parameters = ('Cell_0/dense/kernel', 'embed/embedding')
    self.assertEqual(naming.Naming(uses, parameters).module(scope), expected)

  def test_haiku_enters_a_module_again_for_a_method(self):
    uses = {_path('net/encode/net/linear'): (0,)}
    names = naming.Naming(uses, ('net/linear/w',))
    self.assertEqual(names.module('net/encode/net'), 'net/encode')
    self.assertEqual(names.module('net/encode/net/linear'), 'net/linear')

  def test_a_prefix_that_only_the_parameters_have(self):
    uses = {_path('block/linear'): (0,)}
    names = naming.Naming(uses, ('stack/block/linear/w',))
    self.assertEqual(names.module('block/linear'), 'stack/block/linear')

  def test_a_line_is_no_path(self):
    names = naming.Naming({('model.py:42 f',): (0,)}, ('w',))
    self.assertEqual(names.module('model.py:42 f'), 'model.py:42 f')
    self.assertEqual(names.module('model.py:42 f#2'), 'model.py:42 f#2')

  def test_a_module_keeps_a_parameter_that_another_uses_too(self):
    uses = {('.', '.Embedding'): (0,), ('.', '.Linear'): (0, 1)}
    names = naming.Naming(uses, ('tied/0/weight', 'tied/1/bias'))
    self.assertEqual(names.module('./.Embedding'), 'tied/0')
    self.assertEqual(names.module('./.Linear'), 'tied/1')

  def test_times_are_counted_among_what_is_named(self):
    uses = {('block#2', 'dense'): (0,), ('block#3', 'dense'): (0,)}
    scopes = ('block#2/dense', 'block#3/dense')
    names = naming.Naming(uses, ('block/dense/kernel',), scopes)
    self.assertEqual(
      [names.module(scope) for scope in scopes],
      ['block/dense', 'block#2/dense'],
    )


if __name__ == '__main__':
  absltest.main()
