"""Settings of the whole suite: they stand before JAX's first computation."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

from absl import flags
import hypothesis
import jax

# Enough devices to shard over, whatever the machine.
jax.config.update('jax_num_cpu_devices', 4)

# absltest and chex read flags, which no absl.app parses here.
flags.FLAGS.mark_as_parsed()

# The first example compiles, so it is slow; and a suite that passes once passes
# always.
hypothesis.settings.register_profile(
  'jaxdl', deadline=None, derandomize=True, max_examples=50
)
hypothesis.settings.load_profile('jaxdl')
