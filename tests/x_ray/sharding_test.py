"""An X-ray of a batch that lies on eight devices: of all of it, not of a part.

The devices are forced upon the processor, which has to be said before jax
starts: in a process of its own.
"""

import os
import pathlib
import subprocess
import sys
import textwrap

from absl.testing import absltest

_ROOT = pathlib.Path(__file__).resolve().parents[2]

_PROGRAM = textwrap.dedent('''
  from flax import nnx
  import jax
  from jax import sharding
  import jax.numpy as jnp
  from jaxdl.x_ray import examination
  import numpy as np

  class Net(nnx.Module):
    def __init__(self, rngs):
      # A bias before the norm has a gradient of rounding errors alone.
      self.dense = nnx.Linear(4, 8, use_bias=False, rngs=rngs)
      self.norm = nnx.BatchNorm(8, rngs=rngs)
      self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
      return self.head(nnx.relu(self.norm(self.dense(x))))

  def examined(x, spec_of_params=None):
    loss = lambda model, x: jnp.mean(model(x) ** 2)
    subject = examination.subject(loss, Net(nnx.Rngs(0)), (x,), False)
    if spec_of_params is not None:
      place = lambda x: jax.device_put(x, spec_of_params(x))
      params, rest = map(
        lambda arrays: tuple(map(place, arrays)),
        (subject.adapted.params, subject.adapted.rest),
      )
      adapted = subject.adapted._replace(params=params, rest=rest)
      subject = subject._replace(adapted=adapted)
    return examination.examine(subject)

  assert jax.device_count() == 8, jax.devices()
  # One part of the batch is unlike the others.
  x = jnp.asarray(np.random.RandomState(0).randn(16, 4), jnp.float32)
  x = x.at[-2:].multiply(100)
  mesh = jax.make_mesh(
    (8,), ('data',), axis_types=(sharding.AxisType.Auto,)
  )
  spec = lambda *axes: sharding.NamedSharding(
    mesh, sharding.PartitionSpec(*axes)
  )

  def over_the_last(x):
    """Also the parameters, where they can be divided."""
    divides = x.ndim == 2 and x.shape[-1] % 8 == 0
    return spec(None, 'data') if divides else spec()

  alone = examined(x)
  divided = jax.device_put(x, spec('data'))
  for placed in (lambda x: spec(), over_the_last):
    found = examined(divided, placed)
    assert [r.name for r in found.rows] == ['dense', 'norm', 'relu', 'head']
    for one, many in zip(
      jax.tree.leaves((alone.loss, alone.rows, alone.parameters)),
      jax.tree.leaves((found.loss, found.rows, found.parameters)),
      strict=True,
    ):
      if not isinstance(one, str):
        np.testing.assert_allclose(many, one, rtol=2e-4, atol=1e-6)
  print('the same')
''')


class ShardingTest(absltest.TestCase):
  def test_statistics_are_of_the_whole_batch(self):
    environment = {
      **os.environ,
      'XLA_FLAGS': ' '.join(
        [
          os.environ.get('XLA_FLAGS', ''),
          '--xla_force_host_platform_device_count=8',
        ]
      ),
      'JAX_PLATFORMS': 'cpu',
    }
    done = subprocess.run(
      [sys.executable, '-c', _PROGRAM],
      cwd=_ROOT,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout, 'the same\n')


if __name__ == '__main__':
  absltest.main()
