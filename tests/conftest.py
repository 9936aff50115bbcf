"""Settings of the whole suite: they stand before JAX's first computation.

The tests compile thousands of small programs and run each of them once, so XLA
is told to compile quickly: to the same operations, without the optimization of
their machine code. `default_compiler_test.py` holds numbers to their references
as XLA compiles for users, and `XLA_FLAGS= ./run.sh test` does so with all
tests, in about twice the time.
"""

import gc
import os
import subprocess
import sys

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

from absl import flags
import hypothesis
import jax

_COMPILE_QUICKLY = (
  '--xla_backend_optimization_level=0',
  '--xla_cpu_parallel_codegen_split_count=1',
  '--xla_cpu_use_fusion_emitters=false',
)


def _known(xla_flags):
  """Those of some flags that this version of XLA knows; of others it dies."""
  done = subprocess.run(
    [sys.executable, '-c', 'import jax; jax.devices()'],
    env={**os.environ, 'XLA_FLAGS': ' '.join(xla_flags)},
    stderr=subprocess.PIPE,
    text=True,
  )
  if done.returncode == 0:
    return xla_flags
  known = [flag for flag in xla_flags if flag not in done.stderr]
  assert len(known) < len(xla_flags), done.stderr
  return known


# Processes that tests start, and those of pytest-xdist, have it from here.
if 'XLA_FLAGS' not in os.environ:
  os.environ['XLA_FLAGS'] = ' '.join(_known(_COMPILE_QUICKLY))

# Enough devices to shard over, whatever the machine.
jax.config.update('jax_num_cpu_devices', 8)

# absltest and chex read flags, which no absl.app parses here.
flags.FLAGS.mark_as_parsed()

# The first example compiles, so it is slow; and a suite that passes once passes
# always.
hypothesis.settings.register_profile(
  'jaxdl', deadline=None, derandomize=True, max_examples=50
)
hypothesis.settings.load_profile('jaxdl')


def pytest_collection_finish():
  # Modules and traced programs stay, so collecting them again and again is in
  # vain.
  gc.freeze()
  gc.set_threshold(10_000)
