"""Tests for `experiments/help_texts.py`: it names what the library has."""

import re

from absl.testing import absltest
from absl.testing import parameterized
from experiments import help_texts
from jaxdl import activations
from jaxdl import training
from jaxdl.data import preprocessing
from jaxdl.laboratory import axes
from jaxdl.layers import initializers
from jaxdl.models import stack


def _names(text):
  """Returns the names of a list, what is said of them in brackets left out."""
  text = re.sub(r'\([^)]*\)', '', text.partition(';')[0])
  return [name.strip(' .') for name in text.split(',')]


class NamesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('activations', help_texts.ACTIVATIONS, activations.names()),
    ('norms', help_texts.NORMS, stack.NORMS),
    ('shortcuts', help_texts.SHORTCUTS, stack.SHORTCUTS),
    ('all_shortcuts', help_texts.ALL_SHORTCUTS, axes.SHORTCUTS),
    ('initializers', help_texts.INITS, initializers.names()),
    ('optimizers', help_texts.OPTIMIZERS, training.optimizer.names()),
    ('preprocessings', help_texts.PREPROCESSINGS, preprocessing.names()),
  )
  def test_help_names_what_there_is(self, text, names):
    self.assertCountEqual(_names(text), names)


if __name__ == '__main__':
  absltest.main()
