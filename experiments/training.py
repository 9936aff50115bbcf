"""Training a sweep: what is asked of every experiment, and how it runs.

The flags that all experiments share, and the way from a grid to a record on
disk: with progress, a Ctrl-C that loses nothing, and every mistake refused
before data are read.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
import json
import pathlib
import shlex
import sys
import types
from typing import Any

from absl import flags
from experiments import hosts
from experiments import output
from experiments import ray_cluster
from experiments import stopping

NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds',
  2,
  'Each combination is trained with seeds 0, 1, ...',
  lower_bound=1,
  upper_bound=10_000,
)
NUM_STEPS = flags.DEFINE_integer(
  'num_steps',
  400,
  'Training steps of each network.',
  lower_bound=1,
  upper_bound=10_000_000,
)
DATA = flags.DEFINE_string(
  'data',
  'fashion_mnist_small',
  'fashion_mnist_small (12,000 images that come with jaxdl), fashion_mnist, '
  'mnist, cifar10, digits; or the path of an .npz, or of a folder of IDX files '
  'or of the binary files of CIFAR-10.',
)
DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Where the files of a named data set are.'
)
RESUME = flags.DEFINE_bool(
  'resume', False, 'Go on with the study in --out, from its last chunk.'
)
CHUNK_STEPS = flags.DEFINE_integer(
  'chunk_steps',
  100,
  'Steps between two writes; what a crash can cost.',
  lower_bound=1,
)
ARRANGEMENT = flags.DEFINE_enum(
  'arrangement',
  'auto',
  ['auto', 'map', 'vmap', 'loop'],
  'How a device runs its networks: one after the other (map, auto on a CPU), '
  'all at once where JAX can (vmap, auto elsewhere), or unrolled (loop).',
)
MESH = flags.DEFINE_string(
  'mesh',
  '',
  'Devices: cells:8 spreads the networks over 8, cells:4,data:2 over 4 pairs '
  'that share each batch. By default all devices to cells.',
)


# The sections of the help page that are the same for all.
SECTIONS = {
  'Output': (output.OUT, RESUME, output.OVERWRITE, CHUNK_STEPS),
  'Devices and hosts': (MESH, ARRANGEMENT, *hosts.FLAGS, *ray_cluster.FLAGS),
}


def output_folder(name: str, parts: Sequence[str] = ()) -> pathlib.Path:
  """Returns where a study is written: `--out`, or a folder of its own.

  Args:
    name: of the experiment.
    parts: the folders that it may have, one a sweep, where a study has several.

  Raises:
    ValueError: if a study of several sweeps would go among foreign files.
  """
  if RESUME.value and not output.OUT.value:
    raise ValueError('--resume needs --out: the folder of the study to resume')
  out = pathlib.Path(hosts.lead(lambda: str(output.folder(name))))
  if parts and out.is_dir() and any(out.iterdir()):
    if not any((out / part).is_dir() for part in parts):
      raise ValueError(
        f'{out} holds files that are no study; give another --out'
      )
    for part in parts:
      if (out / part).is_symlink():
        raise ValueError(f'{out / part} is a link; give another --out')
  return out


def load() -> Any:
  """Loads the dataset that `--data` names, as it is stored."""
  from jaxdl.data import sources

  return sources.load(DATA.value, data_dir=DATA_DIR.value)


def plan(cells: Sequence[Any], split: Callable[..., Any]) -> Any:
  """Plans cells on all devices; refuses what a cell cannot be.

  Args:
    cells: of a `sweep.Grid`.
    split: maps a cell to its static and its dynamic part.
  """
  import jax

  return _planner(split)(cells, jax.devices())


def _planner(split: Callable[..., Any]) -> Callable[..., Any]:
  """Returns what plans cells on devices, by the flags; it can be pickled."""
  return functools.partial(
    _plan,
    split=split,
    mesh=MESH.value,
    num_steps=NUM_STEPS.value,
    chunk_steps=CHUNK_STEPS.value,
    arrangement=None if ARRANGEMENT.value == 'auto' else ARRANGEMENT.value,
  )


def _plan(
  cells: Sequence[Any], devices: Sequence[Any], *, mesh: str, **options: Any
) -> Any:
  from jaxdl import sweep

  devices, group_size = sweep.mesh.select(mesh, devices)
  return sweep.plan(cells, devices=devices, group_size=group_size, **options)


def claim(
  plan: Any, out: pathlib.Path, settings: Mapping[str, Any], part: str = ''
) -> bool:
  """Checks, in process 0, that a sweep may be written; changes nothing.

  Args:
    plan: what `plan` returned.
    out: the folder of the study.
    settings: what else decides the numbers, beside the name of the data.
    part: the folder in `out` of this sweep, where a study has several.

  Returns:
    Whether there is a sweep to resume.
  """
  from jaxdl.sweep import claim as claim_lib

  def decide() -> str:
    is_there = claim_lib.claim(
      out / part, plan, _complete(settings), **_there()
    )
    return 'resume' if is_there else 'begin'

  return hosts.lead(decide) == 'resume'


def _complete(settings: Mapping[str, Any]) -> dict[str, Any]:
  """Returns all that decides the numbers beside the plan."""
  from jaxdl import laboratory

  return {'data': DATA.value, 'drawing': laboratory.DRAWING, **settings}


def _there() -> dict[str, bool]:
  """Returns what is asked to happen to a sweep that is there already."""
  return {'resume': RESUME.value, 'overwrite': output.OVERWRITE.value}


def train(
  name: str,
  plan: Any,
  out: pathlib.Path,
  *,
  part: str = '',
  split: Callable[..., Any],
  load: Callable[[], Any],
  builder: Callable[..., Any],
  settings: Mapping[str, Any],
  attributes: Mapping[str, Any] = types.MappingProxyType({}),
) -> None:
  """Trains and records; raises KeyboardInterrupt if it was stopped.

  Args:
    name: of the experiment.
    plan: what `plan` returned.
    out: the folder of the study; whether it can take it is checked first.
    part: the folder in `out` of this sweep, where a study has several.
    split: what `plan` was given.
    load: returns the dataset, float32.
    builder: maps the shape of one input and the number of classes to what
      builds the experiment of a static part.
    settings: what else decides the numbers, beside the name of the data.
    attributes: further ones of the record.
  """
  from experiments import progress
  from jaxdl import laboratory
  from jaxdl import sweep
  import rich.console

  folder = out / part
  resuming = claim(plan, out, settings, part)
  settings = _complete(settings)
  dataset = load()
  console = rich.console.Console(quiet=not hosts.leads())
  say(console, _description(plan, dataset, part))
  go_on = f'Go on with: {stopping.resume_command(out)}'
  stopped = f'stopped; nothing is lost. {go_on}'
  with (
    hosts.Witness(
      f'{name}: this process ended without a word, perhaps because process 0 '
      f'did. Nothing that was recorded is lost. {go_on}'
    ),
    progress.display(console) as display,
    stopping.OnInterrupt(display, f'{name}: {stopped}') as stop,
  ):
    options: dict[str, Any] = {
      'settings': settings,
      'attributes': {
        **_attributes(name, plan, dataset, settings),
        **attributes,
      },
      'progress': progress.Watch(
        plan, dataset.num_classes, display, folder if resuming else None
      ),
      'stop': stop,
      **_there(),
    }
    build = builder(dataset.train_images.shape[1:], dataset.num_classes)
    data = sweep.Data(*dataset[:4])
    indices = laboratory.batches(len(dataset.train_labels))
    if ray_cluster.is_asked_for():
      recipe = sweep.tasks.Recipe(_planner(split), build, indices, folder)
      outcome = ray_cluster.run(name, plan.cells, recipe, data, options)
    else:
      outcome = sweep.run(plan, build, data, indices, folder, **options)
  if not outcome.finished:
    raise KeyboardInterrupt(stopped)


def report(out: pathlib.Path, write: Callable[[], None]) -> None:
  """Writes the report, in process 0; says of an interrupt how one gets it.

  Args:
    out: the folder of the study.
    write: writes the report.
  """
  if not hosts.leads():
    return
  try:
    write()
  except KeyboardInterrupt:
    raise KeyboardInterrupt(
      'stopped; what was recorded is whole. For the report: '
      + stopping.resume_command(out)
    ) from None


def say(console: Any, text: str) -> None:
  """Prints a line as it is, however long.

  Args:
    console: a `rich.console.Console`.
    text: the line.
  """
  console.print(text, highlight=False, markup=False, soft_wrap=True)


def _description(plan: Any, dataset: Any, part: str) -> str:
  """Says what is about to be trained."""
  import jax

  devices = _count(
    plan.num_devices, f'{plan.programs[0].devices[0].platform} device'
  )
  if jax.process_count() > 1:
    devices += f' of {_count(jax.process_count(), "process")}'
  if ray_cluster.is_asked_for():
    devices = 'a Ray cluster'
  return (
    f'{f"{part}: " if part else ""}'
    f'{_count(len(plan.cells), "network")} in '
    f'{_count(len(plan.programs), "program")} on {devices}; '
    f'{_count(plan.num_steps, "step")} on {dataset.name} '
    f'({len(dataset.train_labels):,} images)'
  )


def _count(number: int, thing: str) -> str:
  plural = 'es' if thing.endswith('s') else 's'
  return f'{number:,} {thing}{"" if number == 1 else plural}'


def _attributes(
  name: str, plan: Any, dataset: Any, settings: Mapping[str, Any]
) -> dict[str, Any]:
  """What the record says of itself."""
  import importlib.metadata

  import jaxdl
  from jaxdl.sweep import claim

  packages = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
  axes = claim.axes(plan)
  return {
    **settings,
    'jaxdl_version': jaxdl.__version__,
    'data': dataset.name,
    'num_classes': dataset.num_classes,
    'axes': json.dumps([k for k, v in axes.items() if len(v) > 1]),
    'versions': json.dumps(
      {p: importlib.metadata.version(p) for p in packages}
    ),
    'command': shlex.join([name, *sys.argv[1:]]),
  }
