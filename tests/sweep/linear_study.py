"""A sweep of linear stacks, small enough to run many times in the tests.

Run as a script, it is the process that a test kills and starts again:

  python linear_study.py OUT NUM_STEPS [MAX_FILE_BYTES]
"""

import pathlib
import resource
import sys

import jax
import jax.numpy as jnp
from jaxdl import sweep
import numpy as np

IN_DIM, NUM_CLASSES, NUM_TRAIN, BATCH = 20, 3, 32, 8


def data() -> sweep.Data:
  """Returns random images and labels."""
  rng = np.random.default_rng(0)
  images = rng.normal(size=(NUM_TRAIN, IN_DIM)).astype(np.float32)
  labels = rng.integers(NUM_CLASSES, size=NUM_TRAIN).astype(np.int32)
  return sweep.Data(images, labels, images[:8], labels[:8])


def indices(cell: sweep.Cell, start: int, count: int) -> np.ndarray:
  """Returns `[count, batch]` examples; a step's are the same in any chunk."""
  return np.stack(
    [
      np.random.default_rng((cell['seed'], step)).integers(
        NUM_TRAIN, size=BATCH
      )
      for step in range(start, start + count)
    ]
  )


def build(static) -> sweep.Experiment:
  """Returns a stack of `depth` hidden layers and a readout."""
  activation = {'relu': jax.nn.relu, 'tanh': jnp.tanh}[static['activation']]
  depth = static['depth']

  def init(dynamic, key):
    shape = (depth, IN_DIM, IN_DIM)
    bound = dynamic['gain'] * np.sqrt(3 / IN_DIM)
    hidden = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
    return hidden, jnp.zeros((IN_DIM, NUM_CLASSES))

  def loss_fn(params, batch, key):
    hidden, readout = params
    x, labels = batch
    x = x + 0.1 * jax.random.uniform(key, x.shape)
    x, _ = jax.lax.scan(lambda x, w: (activation(x @ w), None), x, hidden)
    log_p = jax.nn.log_softmax(x @ readout)
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])

  def step(params, batch, dynamic, key):
    loss, grads = jax.value_and_grad(loss_fn)(params, batch, key)
    squares = jnp.sum(grads[0] ** 2, axis=(1, 2)), jnp.sum(grads[1] ** 2)[None]
    norms = jnp.sqrt(jnp.concatenate(squares))
    rate = dynamic['learning_rate']
    params = jax.tree.map(lambda w, g: w - rate * g, params, grads)
    return params, {'loss': loss, 'gradient_norm': norms}

  def finish(params, dynamic, data):
    del dynamic
    batch = (data.test_images, data.test_labels)
    return {'test_loss': loss_fn(params, batch, jax.random.key(0))}

  return sweep.Experiment(init, step, finish)


def split(cell: sweep.Cell):
  """Activation and depth change the program; the rest enters as arrays."""
  static = {name: cell[name] for name in ('activation', 'depth')}
  dynamic = {name: cell[name] for name in ('gain', 'learning_rate')}
  return static, dynamic


def grid(**axes) -> sweep.Grid:
  """Returns the grid of the study; `axes` replace its own."""
  return sweep.Grid(
    {
      'activation': ['relu', 'tanh'],
      'depth': [2],
      'gain': [1.0],
      'learning_rate': [0.1, 0.01],
      'seed': [0, 1],
      **axes,
    }
  )


def plan(
  axes=None, *, num_devices=1, num_steps=10, chunk_steps=4, **options
) -> sweep.Plan:
  """Plans the study on the first devices."""
  return sweep.plan(
    grid(**(axes or {})).cells(),
    split,
    devices=jax.devices()[:num_devices],
    num_steps=num_steps,
    chunk_steps=chunk_steps,
    **options,
  )


def run(study: sweep.Plan, out: str | pathlib.Path, **options):
  """Runs the study."""
  return sweep.run(study, build, data(), indices, out, **options)


def main(out: str, num_steps: str, max_file_bytes: str | None = None) -> None:
  """Begins the study, or goes on with it, on two devices."""
  jax.config.update('jax_num_cpu_devices', 2)
  if max_file_bytes is not None:
    limit = int(max_file_bytes)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
  study = plan(num_devices=2, num_steps=int(num_steps), chunk_steps=2)
  run(study, out, resume=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
