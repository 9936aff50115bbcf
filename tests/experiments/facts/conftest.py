"""Settings of the tests of facts.

They measure with few images, and what they compile is lowered for a TPU too.
"""

import functools
from unittest import mock

from jaxdl.data import sources
import pytest

from tests import lowering

_TRAIN, _TEST = 512, 64  # Images; their numbers change no program's operations.


@functools.cache
def _few():
  few = sources.first(sources.load(), _TRAIN)
  return few._replace(
    test_images=few.test_images[:_TEST], test_labels=few.test_labels[:_TEST]
  )


@pytest.fixture(autouse=True, scope='module')
def _of_few_images():
  """Trained for a few steps, a network is evaluated on fewer images too."""
  few = _few()
  with mock.patch.object(sources, 'load', lambda: few):
    yield


@pytest.fixture(autouse=True, scope='module')
def _lowered_for_a_tpu_too():
  with lowering.too():
    yield
