"""Settings of these tests, which compile the same programs again and again."""

import jax
from jax.experimental.compilation_cache import compilation_cache
import pytest


@pytest.fixture(scope='package', autouse=True)
def shared_programs(tmp_path_factory):
  """Compiles each program once for all tests."""
  settings = (
    ('jax_compilation_cache_dir', str(tmp_path_factory.mktemp('xla')), None),
    ('jax_persistent_cache_min_compile_time_secs', 0.0, 1.0),
  )
  compilation_cache.reset_cache()
  for name, value, _ in settings:
    jax.config.update(name, value)
  yield
  for name, _, default in settings:
    jax.config.update(name, default)
  compilation_cache.reset_cache()
