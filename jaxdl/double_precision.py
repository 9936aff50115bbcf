"""Computing in float64 for a while, whatever JAX is set to."""

from collections.abc import Iterator
import contextlib

import jax


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
  """Within it, JAX computes in float64, at once, on the CPU if there is one.

  At once: also where a function is being traced, as under the user's jit.
  """
  if hasattr(jax, 'enable_x64'):
    enabled = jax.enable_x64(True)
  else:  # Before JAX 0.8.
    from jax import experimental

    enabled = getattr(experimental, 'enable_x64')()  # noqa: B009
  try:
    device = jax.local_devices(backend='cpu')[0]
  except RuntimeError:  # Other platforms alone were asked for.
    device = None
  with enabled, jax.ensure_compile_time_eval(), jax.default_device(device):
    yield
