"""What the facts of the Atlas compile is lowered for a TPU too."""

import pytest

from tests import lowering


@pytest.fixture(autouse=True, scope='module')
def _lowered_for_a_tpu_too():
  with lowering.too():
    yield
