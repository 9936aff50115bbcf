"""An examination as a labelled dataset, which is saved as any other."""

from collections.abc import Sequence
import importlib.metadata
import json
import platform

from jaxdl import __version__
from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import results
import numpy as np
import xarray as xr

# Raised where a reader of the last one would misread the next.
FORMAT_VERSION = 1

# Groups of a row's statistics, with what their variables begin with.
_PARTS = {
  'forward': 'activation',
  'backward': 'cotangent',
  'representation': 'representation',
}
# Fields of a parameter, with their variables.
_PARAMETERS = {
  'norm': 'parameter_norm',
  'gradient_norm': 'gradient_norm',
  'gradient_max_abs': 'gradient_max_abs',
  'gradient_zero': 'gradient_zero',
  'gradient_nonfinite': 'gradient_nonfinite',
  'update_ratio': 'update_ratio',
  'parallel': 'parallel',
}
_LIBRARIES = ('jax', 'jaxlib', 'numpy', 'flax', 'equinox', 'dm-haiku')


def make(
  examination: results.Examination,
  findings: Sequence[finding_lib.Finding] = (),
) -> xr.Dataset:
  """Makes a dataset of all that was measured.

  Args:
    examination: what was measured.
    findings: what was found in it.

  Returns:
    Dimensions `module`, in order of depth, and `parameter`. `activation_*` are
    statistics of the values that leave the modules and `cotangent_*` of the
    derivative of the loss with respect to them, by the names that a record has
    for them (docs/architecture.md); `uses` says which module uses which
    parameter itself. Attributes: `loss`, `format_version`, `jaxdl_version`,
    and, as JSON, `findings`, `hidden` and `versions`.
  """
  rows, parameters = examination.rows, examination.parameters
  coordinates = {
    'module': _strings(row.name for row in rows),
    'parameter': _strings(p.name for p in parameters),
  }
  attributes = {
    'format_version': FORMAT_VERSION,
    'jaxdl_version': __version__,
    'loss': examination.loss,
    'findings': json.dumps([finding._asdict() for finding in findings]),
    'hidden': json.dumps(dict(examination.hidden)),
    'versions': json.dumps(versions()),
  }
  variables = {
    **{k: ('module', v) for k, v in _of_modules(examination, findings).items()},
    **{k: ('parameter', v) for k, v in _of_parameters(parameters).items()},
    'uses': (('module', 'parameter'), _uses(examination)),
  }
  return xr.Dataset(variables, coordinates, attributes)


def versions() -> dict[str, str]:
  """Of jaxdl, Python, and the libraries that a model may be made with."""
  installed = {d.metadata['Name'] for d in importlib.metadata.distributions()}
  return {
    'jaxdl': __version__,
    'python': platform.python_version(),
    **{
      name: importlib.metadata.version(name)
      for name in _LIBRARIES
      if name in installed
    },
  }


def _of_modules(examination, findings) -> dict[str, np.ndarray]:
  rows = examination.rows
  lines = lines_lib.of(examination, findings)
  values = [line for line in lines if line.kind == 'value']
  statistics = {
    f'{prefix}_{name}': _numbers(getattr(getattr(r, part), name) for r in rows)
    for part, prefix in _PARTS.items()
    for name in (getattr(rows[0], part)._fields if rows else ())
  }
  return {
    **statistics,
    'decades': _numbers(line.decades for line in values),
    'verdict': _strings(line.verdict for line in values),
    'is_cut': np.asarray([row.is_cut for row in rows], bool),
    'shape': _strings(_shape(row.shape) for row in rows),
    'dtype': _strings(row.dtype for row in rows),
    'activation': _strings(row.activation for row in rows),
    'source': _strings(row.source for row in rows),
  }


def _of_parameters(parameters) -> dict[str, np.ndarray]:
  numbers = {
    variable: _numbers(getattr(p, field) for p in parameters)
    for field, variable in _PARAMETERS.items()
  }
  return {
    **numbers,
    'obstacle': _strings(p.obstacle for p in parameters),
    'parameter_shape': _strings(_shape(p.shape) for p in parameters),
    'parameter_dtype': _strings(p.dtype for p in parameters),
  }


def _uses(examination) -> np.ndarray:
  uses = np.zeros((len(examination.rows), len(examination.parameters)), bool)
  for i, row in enumerate(examination.rows):
    uses[i, list(row.parameters)] = True
  return uses


def _numbers(values) -> np.ndarray:
  return np.asarray([float(x) for x in values], float)


def _strings(values) -> np.ndarray:
  """Of fixed width, which every format of files can hold."""
  return np.asarray(list(values), np.str_)


def _shape(shape: Sequence[int]) -> str:
  return '×'.join(map(str, shape)) or 'scalar'
