"""jaxdl: the gradient-flow laboratory for JAX.

  value, grads, profile = jaxdl.probe(loss)(params, batch)

measures what flows through every `jax.named_scope` of a loss;
`jaxdl.log_cotangent_profile` does so at any depth, and `jaxdl.xray` for any
model of Flax, Equinox, Haiku, or no library at all. `jaxdl.layers` and
`jaxdl.activations` build networks, `jaxdl.models` has the architectures of the
literature by name, `jaxdl.summary` and `jaxdl.receptive_field` tabulate one,
`jaxdl.sweep` trains grids of them, and `jaxdl.diagnose` says of a record what
vanishes, explodes, or learns. `jaxdl.theory` predicts what wide networks do,
and `jaxdl.jacobian` and `jaxdl.curvature` measure what a gradient does not
tell.
"""

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
  from jaxdl import activations as activations
  from jaxdl import curvature as curvature
  from jaxdl import geometry as geometry
  from jaxdl import jacobian as jacobian
  from jaxdl import layers as layers
  from jaxdl import models as models
  from jaxdl import sweep as sweep
  from jaxdl import theory as theory
  from jaxdl.diagnosis import diagnose as diagnose
  from jaxdl.geometry import (
    effective_receptive_field as effective_receptive_field,
  )
  from jaxdl.geometry import receptive_field as receptive_field
  from jaxdl.geometry import summary as summary
  from jaxdl.tracing import log_cotangent_profile as log_cotangent_profile
  from jaxdl.tracing import probe as probe
  from jaxdl.x_ray import watch as watch
  from jaxdl.x_ray import xray as xray

__version__ = '0.1.0'

_MODULES = (
  'activations',
  'curvature',
  'geometry',
  'jacobian',
  'layers',
  'models',
  'sweep',
  'theory',
)
_FUNCTIONS = {
  'diagnose': 'jaxdl.diagnosis',
  'effective_receptive_field': 'jaxdl.geometry',
  'log_cotangent_profile': 'jaxdl.tracing',
  'probe': 'jaxdl.tracing',
  'receptive_field': 'jaxdl.geometry',
  'summary': 'jaxdl.geometry',
  'watch': 'jaxdl.x_ray',
  'xray': 'jaxdl.x_ray',
}


def __getattr__(name: str) -> Any:
  """Imports what is asked for: a mistyped flag need not wait for JAX."""
  import importlib

  if name in _MODULES:
    return importlib.import_module(f'jaxdl.{name}')
  if name in _FUNCTIONS:
    return getattr(importlib.import_module(_FUNCTIONS[name]), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  """Lists what can be asked for."""
  return sorted([*globals(), *_MODULES, *_FUNCTIONS])
