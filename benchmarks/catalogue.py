"""The benchmarks whose figures are in the documentation, and how to run them.

In order of the table. Times are of two idle cores.
"""

from collections.abc import Sequence
import shlex
from typing import NamedTuple


class Entry(NamedTuple):
  """A run of a benchmark.

  Attributes:
    name: of the benchmark.
    seconds: that it takes, about.
    flags: that it is run with.
    quick: flags that make it short; its figures are then worth nothing.
    prefix: a command that runs it.
    takes_long: whether it is left to `--full`.
  """

  name: str
  seconds: int
  flags: tuple[str, ...] = ()
  quick: tuple[str, ...] = ()
  prefix: tuple[str, ...] = ()
  takes_long: bool = False

  @property
  def command(self) -> str:
    """What a user types to run it."""
    words = (*self.prefix, './run.sh', 'benchmark', self.name, *self.flags)
    return shlex.join(words)


_ONE_CORE = ('taskset', '-c', '1')

ENTRIES = (
  Entry(
    'headline',
    975,
    ('--rounds=3', '--steps=15'),
    (
      *('--rounds=1', '--steps=2', '--', '--activation=relu', '--num_seeds=1'),
      *('--depth=5', '--num_steps=8'),
    ),
  ),
  Entry('probe_overhead', 50, ('--rounds=15',), ('--rounds=2', '--steps=5')),
  Entry(
    'probe_overhead',
    65,
    ('--norm=batch', '--rounds=15'),
    ('--rounds=2', '--steps=5'),
  ),
  Entry('step_forms', 75, quick=('--rounds=2', '--steps=5')),
  Entry(
    'xray',
    300,
    quick=('--rounds=2', '--steps=2', '--compilations=1', '--models=stack'),
  ),
  Entry('matmul_ceiling', 20, quick=('--rounds=2', '--steps=5')),
  Entry('compile_depth', 25, quick=('--rounds=1', '--depths=10,1000')),
  Entry(
    'cnn_step',
    110,
    ('--arrangement=grid',),
    ('--rounds=1', '--steps=1', '--batch_size=8'),
    prefix=_ONE_CORE,
  ),
  Entry(
    'cnn_step',
    150,
    ('--arrangement=grid', '--model=vgg16_cifar', '--rounds=3', '--steps=1'),
    ('--batch_size=2', '--rounds=1'),
    prefix=_ONE_CORE,
  ),
  Entry('depth_memory', 5, quick=('--depths=100,1000',)),
  Entry(
    'depth_masking', 110, quick=('--rounds=1', '--depths=3,6', '--steps=5')
  ),
  Entry('convolution', 20, ('--shapes=128x32x16',), ('--rounds=1',)),
  Entry(
    'convolution',
    300,
    ('--shapes=128x16x32,128x8x64,128x8x256,128x4x512,128x2x512',),
    ('--rounds=1', '--shapes=2x4x8'),
    takes_long=True,
  ),
  Entry('vanishing', 100, quick=('--steps=20',)),
  Entry('diagnosis', 60, quick=('--seeds=1',)),
)


def select(only: Sequence[str] = (), full: bool = False) -> tuple[Entry, ...]:
  """Returns what is to be run, in order.

  Args:
    only: names of benchmarks; none for all.
    full: whether those that take long are among them.

  Raises:
    ValueError: no entry has one of the names.
  """
  known = dict.fromkeys(entry.name for entry in ENTRIES)
  for name in only:
    if name not in known:
      raise ValueError(
        f'--only has {name!r}; figures of the documentation are by '
        f'{", ".join(known)}'
      )
  return tuple(
    entry
    for entry in ENTRIES
    if (not only or entry.name in only) and (full or not entry.takes_long)
  )
