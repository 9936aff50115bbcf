"""Hours of work in one process: does its memory stay flat?

  python -m tests.soak --minutes=60

Each round sweeps a grid, stops the sweep and goes on with it, opens, diagnoses
and reports the record, trains another grid in memory, X-rays a model and tries
cures, probes it, and watches a loop that trains it. Grids are taken in turn, so
after the first turn nothing is new. Prints a row for each sample and, at the
end, whether memory grew over the last half, and of what there are more objects.
Not run by the suite: it takes long, and a minute says nothing.
"""

import collections
import ctypes
import gc
import os
import pathlib
import sys
import tempfile
import threading
import time
from typing import Any, NamedTuple

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import jaxdl
from jaxdl import diagnosis
from jaxdl import laboratory
from jaxdl import report
from jaxdl import sweep
from jaxdl.data import sources
import numpy as np
import scipy.stats

_MINUTES = flags.DEFINE_float('minutes', 60, 'How long.', lower_bound=0)
_DEVICES = flags.DEFINE_integer('devices', 2, 'Devices of the host.')

_MIB = 2**20
_CONFIDENCE = 0.95
_TOLERATED = 0.02  # Of the memory, as growth in an hour.
_SHOWN_TYPES = 12
# Each of one program: a round has more in it than compilation.
_GRIDS: tuple[dict[str, list[Any]], ...] = (
  {'activation': ['relu'], 'learning_rate': [0.1, 0.01]},
  {'activation': ['sigmoid'], 'norm': ['batch']},
  {'shortcut': ['identity'], 'clip': ['norm:1.0'], 'depth': [3]},
  {'model': ['cnn'], 'activation': ['prelu'], 'norm': ['layer']},
  {'optimizer': ['adam'], 'batch_size': [4], 'seed': [0, 1, 2]},
)
_SIZES = {'depth': [2], 'width': [8], 'batch_size': [8], 'seed': [0, 1]}


class Sample(NamedTuple):
  """What a process holds."""

  seconds: float
  resident: int  # Bytes, as the process is.
  trimmed: int  # Bytes that stay when malloc gives back what is free.
  allocated: int  # Bytes that malloc has given out.
  threads: int
  files: int  # That are open.
  arrays: int  # Of JAX, alive, and their bytes.
  array_bytes: int
  executables: int
  objects: int  # That Python's collector follows.
  blocks: int  # Small ones, that Python's allocator has given out.


def main(_: list[str]) -> None:
  """Works for a while and says what became of the memory."""
  jax.config.update('jax_num_cpu_devices', _DEVICES.value)
  # More rounds: compiling is what takes longest.
  jax.config.update('jax_disable_most_optimizations', True)
  data = _data()
  samples: list[Sample] = []
  begin = time.monotonic()
  print(*(f'{name:>11}' for name in ('round', *Sample._fields)))
  half: collections.Counter[str] | None = None
  number = 0
  while (seconds := time.monotonic() - begin) < 60 * _MINUTES.value:
    with tempfile.TemporaryDirectory() as folder:
      _work(number, data, pathlib.Path(folder))
    number += 1
    samples.append(_sample(time.monotonic() - begin))
    print(*(f'{x:>11.0f}' for x in (number, *samples[-1])), flush=True)
    if half is None and seconds > 30 * _MINUTES.value:
      half = _types()
  for name in ('allocated', 'trimmed'):
    print(_verdict(name, samples[len(samples) // 2 :]))
  _show_types(half or collections.Counter(), _types())
  _show_caches()


def _data() -> sources.Dataset:
  """Small random images."""
  rng = np.random.default_rng(0)
  draw = lambda count: (
    rng.normal(size=(count, 6, 6, 1)).astype(np.float32),
    rng.integers(3, size=count).astype(np.int32),
  )
  return sources.Dataset(*draw(64), *draw(32), num_classes=3, name='random')


def _work(number: int, data: sources.Dataset, folder: pathlib.Path) -> None:
  """One round."""
  axes = {**_SIZES, **_GRIDS[number % len(_GRIDS)]}
  _sweep_and_report(axes, data, folder / 'sweep')
  laboratory.train(axes, data, 4, layerwise=False)
  _look_at_a_model(number, folder)


def _sweep_and_report(
  axes: dict[str, list[Any]], data: sources.Dataset, out: pathlib.Path
) -> None:
  """Sweeps, stops, goes on, diagnoses, reports."""
  fixed = {name: [value] for name, value in laboratory.DEFAULTS.items()}
  cells = laboratory.distinct(sweep.Grid({**fixed, **axes}).cells())
  plan = sweep.plan(
    cells, laboratory.split, devices=jax.devices(), num_steps=6, chunk_steps=2
  )
  for stop in (_after(2), None):
    sweep.run(
      plan,
      laboratory.builder(data.train_images.shape[1:], data.num_classes),
      sweep.Data(*data[:4]),
      laboratory.batches(len(data.train_labels)),
      out,
      attributes={'num_classes': data.num_classes, 'data': data.name},
      resume=True,
      stop=stop,
    )
  record = sweep.open_record(out).load()
  report.write(record, diagnosis.diagnose(record), out)


def _after(count: int):
  """Returns what is true from so many calls on."""
  calls = iter(range(count))
  return lambda: next(calls, None) is None


def _look_at_a_model(number: int, folder: pathlib.Path) -> None:
  """X-rays, cures, probes and watches a model of a loss made anew."""
  x = jnp.asarray(np.random.default_rng(number).normal(size=(8, 4)), 'float32')
  params = {name: 0.1 * jnp.eye(4) for name in ('first', 'second', 'third')}

  def loss_fn(params, x):
    for name in params:
      with jax.named_scope(name):
        x = jax.nn.relu(x @ params[name])
    return jnp.mean((x - 1) ** 2)

  found = jaxdl.xray(loss_fn, params, x)
  found.save_html(folder / 'xray.html')
  found.plot().savefig(folder / 'xray.png')
  found.try_cures(2)
  jax.block_until_ready(jax.jit(jaxdl.probe(loss_fn))(params, x))
  step = jax.jit(lambda p: jax.tree.map(lambda w: 0.9 * w, p))
  with jaxdl.watch(
    loss_fn, params, x, every=2, record=folder / 'watch'
  ) as watch:
    for i in range(6):
      watch(i, params, x)
      params = step(params)


def _sample(seconds: float) -> Sample:
  gc.collect()
  resident = _resident()
  library = ctypes.CDLL(None)  # The GNU C library.
  library.malloc_trim(0)
  library.mallinfo2.restype = _Mallinfo2
  heap = library.mallinfo2()
  alive = jax.live_arrays()
  return Sample(
    seconds,
    resident,
    _resident(),
    heap.uordblks + heap.hblkhd,
    threading.active_count(),
    len(os.listdir('/proc/self/fd')),
    len(alive),
    sum(array.nbytes for array in alive),
    len(jax.devices()[0].client.live_executables()),
    len(gc.get_objects()),
    sys.getallocatedblocks(),
  )


class _Mallinfo2(ctypes.Structure):
  """What malloc says of all its arenas; the names are the C library's."""

  _fields_ = [
    (name, ctypes.c_size_t)
    for name in (
      *('arena', 'ordblks', 'smblks', 'hblks', 'hblkhd'),
      *('usmblks', 'fsmblks', 'uordblks', 'fordblks', 'keepcost'),
    )
  ]


def _resident() -> int:
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE')


def _verdict(name: str, samples: list[Sample]) -> str:
  """Fits a line to a memory of some samples; says what its slope is."""
  if len(samples) < 3:
    return f'{len(samples)} samples are too few for a slope'
  hours = np.array([sample.seconds for sample in samples]) / 3600
  memory = np.array([getattr(sample, name) for sample in samples]) / _MIB
  line = scipy.stats.linregress(hours, memory)
  quantile = scipy.stats.t.ppf((1 + _CONFIDENCE) / 2, len(samples) - 2)
  low, high = line.slope + np.array([-1, 1]) * quantile * line.stderr
  tolerated = _TOLERATED * memory.mean()
  word = 'flat' if high < tolerated else 'unclear'
  return (
    f'{name} is {"leaking" if low > tolerated else word}: over the last '
    f'{len(samples)} rounds, {memory[0]:.0f} to {memory[-1]:.0f} MiB, '
    f'{line.slope:+.1f} MiB an hour, {_CONFIDENCE:.0%} interval {low:+.1f} to '
    f'{high:+.1f}; up to {tolerated:.1f} is flat'
  )


def _types() -> collections.Counter[str]:
  """Counts objects by type."""
  return collections.Counter(
    f'{type(x).__module__}.{type(x).__qualname__}' for x in gc.get_objects()
  )


def _show_types(
  before: collections.Counter[str], after: collections.Counter[str]
) -> None:
  """Prints of which types there are more."""
  more = collections.Counter(
    {name: after[name] - before[name] for name in after}
  )
  for name, count in more.most_common(_SHOWN_TYPES):
    print(f'{count:+9} {name}, {after[name]} in all')


def _show_caches() -> None:
  """Prints how much of the memory is JAX's caches'."""
  before = _sample(0)
  jax.clear_caches()
  after = _sample(0)
  freed = (before.allocated - after.allocated) / _MIB
  print(
    f'without its caches JAX has {after.executables} executables instead of '
    f'{before.executables}, and Python {after.objects} objects instead of '
    f'{before.objects}; {freed:.0f} MiB came free'
  )


if __name__ == '__main__':
  app.run(main)
