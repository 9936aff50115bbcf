"""Tests for `compilation.py`."""

import threading

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.sweep import compilation
from jaxdl.sweep import program as program_lib


class _Stage:
  """Stands for a traced function: counts how often it is compiled."""

  def __init__(self, name, compiled):
    self._name = name
    self._compiled = compiled

  def lower(self):
    return self

  def compile(self, compiler_options):
    del compiler_options
    self._compiled.append(self._name)
    return self._name


def _compiler(num_programs, compiled, **options):
  compiler = compilation.Compiler(**options)
  for i in range(num_programs):
    names = ('init', 'chunk', 'end')
    stages = (_Stage((10 * i, name), compiled) for name in names)
    compiler.add(10 * i, program_lib.Functions(*stages))
  return compiler


class CompilerTest(absltest.TestCase):
  def test_each_program_is_compiled_once_and_a_few_ahead(self):
    compiled = []
    compiler = _compiler(4, compiled, threads=1)
    try:
      first = compiler.take(0)
      self.assertEqual(first.init.result(), (0, 'init'))
      self.assertEqual(first.chunk.result(), (0, 'chunk'))
      self.assertIs(compiler.start(20), compiler.start(20))
      for index in (20, 10, 30):
        functions = compiler.take(index)
        self.assertEqual(functions.finish.result(), (index, 'end'))
    finally:
      compiler.close()
    self.assertLen(compiled, 12)
    self.assertLen(set(compiled), 12)

  def test_no_more_than_the_window_is_begun(self):
    compiled = []
    compiler = _compiler(9, compiled, threads=2)
    compiler.take(0).finish.result()
    compiler.take(10).finish.result()
    compiler.close()
    self.assertLessEqual({index for index, _ in compiled}, {0, 10, 20, 30, 40})

  def test_closing_ends_the_threads(self):
    before = threading.active_count()
    _compiler(9, [], threads=2).close()
    self.assertEqual(threading.active_count(), before)

  def test_error_reaches_the_one_who_takes(self):
    stage = jax.jit(lambda x: x + 1).trace(jnp.ones(()))
    broken = object()
    functions = program_lib.Functions(stage, broken, stage)
    compiler = compilation.Compiler(threads=1)
    compiler.add(0, functions)
    try:
      taken = compiler.take(0)
      self.assertEqual(float(taken.init.result()(jnp.ones(()))), 2)
      with self.assertRaises(AttributeError):
        taken.chunk.result()
    finally:
      compiler.close()


class RunOnceTest(absltest.TestCase):
  def test_returns_what_the_function_returns(self):
    doubled = compilation.run_once(lambda x, y: {'sum': x + y}, 1.5, 2.0)
    self.assertEqual(float(doubled['sum']), 3.5)


if __name__ == '__main__':
  absltest.main()
