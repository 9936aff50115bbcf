"""Settings of the tests: four CPU devices, so that sharding is tested."""

import jax

jax.config.update('jax_num_cpu_devices', 4)
