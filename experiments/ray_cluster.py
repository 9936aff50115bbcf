"""A study on a Ray cluster: each program is a task of some worker."""

import atexit
from collections.abc import Mapping, Sequence
import contextlib
import functools
import importlib
import math
import os
import sys
from typing import Any

from absl import flags
from experiments import command_line

_RAY = flags.DEFINE_string(
  'ray',
  None,
  'Train programs as tasks of a Ray cluster: local starts one here, auto or an '
  'address finds one that runs. Needs the extra jaxdl[ray].',
)
_CPUS = flags.DEFINE_integer(
  'cpus_per_task', 1, 'Cores that a task on Ray takes.', lower_bound=1
)
_GPUS = flags.DEFINE_float(
  'gpus_per_task',
  0.0,
  'GPUs that a task on Ray takes; less than 1 shares one.',
  lower_bound=0.0,
)

FLAGS = (_RAY, _CPUS, _GPUS)


def is_asked_for() -> bool:
  """Returns whether the study trains on a cluster."""
  return _RAY.value is not None


def start() -> None:
  """Connects to the cluster, or starts one, until this process ends.

  Call it before JAX's first computation. This process computes nothing, and
  leaves accelerators to the tasks: it plans on as many devices of a CPU as a
  task has, so that what tasks cannot do is refused here.

  Raises:
    ValueError: there is none, or a task has fewer devices than `--mesh` takes.
  """
  import jax
  from jaxdl.sweep import cluster

  _check_mesh(flags.FLAGS.mesh)
  stack = contextlib.ExitStack()
  stack.enter_context(cluster.session(_RAY.value or cluster.LOCAL))
  atexit.register(stack.close)
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', _num_devices())


def _num_devices() -> int:
  """Returns how many devices a task has; a share of a GPU is one."""
  if not math.isfinite(_GPUS.value):
    raise ValueError(
      f'--{_GPUS.name}={_GPUS.value} is no number of GPUs; give 1, 2, or, '
      'to share one, a fraction'
    )
  return math.ceil(_GPUS.value) or _CPUS.value


def _check_mesh(mesh: str) -> None:
  """Raises a ValueError if a mesh takes more devices than a task has."""
  from jaxdl.sweep import mesh as mesh_lib

  size, found = mesh_lib.size(mesh), _num_devices()
  if size > found:
    flag = _GPUS if _GPUS.value else _CPUS
    raise ValueError(
      f'mesh {mesh!r} takes {size} devices, and a task of Ray has {found}; '
      f'give --{flag.name}={size}, or smaller sizes'
    )


def run(
  name: str,
  cells: Sequence[Any],
  recipe: Any,
  data: Any,
  options: Mapping[str, Any],
) -> Any:
  """Trains cells on the cluster; returns what `sweep.run` does.

  Args:
    name: of the experiment.
    cells: of the grid.
    recipe: a `sweep.tasks.Recipe`; its folder is made absolute.
    data: the data.
    options: of `on_ray.run`.
  """
  from jaxdl.sweep import cluster
  from jaxdl.sweep import on_ray

  prepare = functools.partial(_prepare, f'experiments.{name}', sys.argv)
  return on_ray.run(
    cells,
    recipe._replace(out=os.path.abspath(recipe.out)),
    data,
    cluster.Needs(_CPUS.value, _GPUS.value, prepare),
    **options,
  )


def _prepare(module: str, arguments: Sequence[str]) -> None:
  """Gives a worker the flags of the study, and sets JAX up as for it."""
  importlib.import_module(module)
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(arguments)
  command_line.configure_jax()
