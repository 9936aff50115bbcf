"""Compilation that is quick: of small programs it takes the time."""

import functools

import jax

_OPTIONS = {
  'xla_backend_optimization_level': 0,
  'xla_cpu_parallel_codegen_split_count': 1,
  'xla_cpu_use_fusion_emitters': False,
}


@functools.cache
def quickly():
  """Compiler options, of those that this version of XLA knows."""
  nothing = jax.jit(lambda: 0).lower()

  def is_known(name):
    try:
      nothing.compile({name: _OPTIONS[name]})
    except jax.errors.JaxRuntimeError as error:
      if 'No such compile option' not in str(error):
        raise
      return False
    return True

  return {name: _OPTIONS[name] for name in filter(is_known, _OPTIONS)}
