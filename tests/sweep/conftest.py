"""The sweeps of these tests share compiled programs through JAX's own cache."""

import jax
from jax.experimental.compilation_cache import compilation_cache
import pytest


@pytest.fixture(scope='package', autouse=True)
def shared_compilation_cache(tmp_path_factory):
  names = (
    'jax_compilation_cache_dir',
    'jax_persistent_cache_min_compile_time_secs',
  )
  before = {name: getattr(jax.config, name) for name in names}
  compilation_cache.reset_cache()
  jax.config.update(names[0], str(tmp_path_factory.mktemp('compiled')))
  jax.config.update(names[1], 0)
  yield
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()
