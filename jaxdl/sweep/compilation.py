"""Compiling programs in the background, a few ahead of those that run."""

from collections.abc import Callable, Mapping
from concurrent import futures
import os
import threading
from typing import Any

import jax
from jaxdl.sweep import program as program_lib


class Compiler:
  """Compiles traced programs in a pool of threads, each program once.

  XLA compiles outside the interpreter's lock, so threads do run in parallel.
  Only a few programs wait compiled at a time: executables take memory.
  """

  def __init__(self, threads: int | None = None, num_lanes: int = 1):
    """Starts nothing yet.

    Args:
      threads: how many compile at a time; None takes one a core, at most 4.
      num_lanes: how many programs run at a time.
    """
    threads = threads or min(os.cpu_count() or 1, 4)
    self._ahead = threads + num_lanes
    self._traced: dict[int, program_lib.Functions] = {}
    self._pool = futures.ThreadPoolExecutor(threads, 'compile')
    self._started: dict[int, program_lib.Functions] = {}
    self._lock = threading.Lock()

  def add(self, index: int, traced: program_lib.Functions) -> None:
    """Takes a traced program on; the first ones are started at once.

    Args:
      index: the program; programs are added in the order in which they run.
      traced: its functions.
    """
    with self._lock:
      self._traced[index] = traced
      if len(self._started) < self._ahead:
        self._start(index)

  def start(self, index: int) -> program_lib.Functions:
    """Starts to compile a program; returns its functions, as futures."""
    with self._lock:
      return self._start(index)

  def take(self, index: int) -> program_lib.Functions:
    """Returns the functions of a program, and starts on another one.

    Args:
      index: the program; it is forgotten here, so each is taken once.

    Returns:
      Its functions, as futures of `jax.stages.Compiled`.
    """
    with self._lock:
      functions = self._start(index)
      del self._started[index]
      for following in list(self._traced)[:1]:
        self._start(following)
      return functions

  def close(self) -> None:
    """Waits for what is being compiled; what is not yet begun never is."""
    self._pool.shutdown(wait=True, cancel_futures=True)

  def _start(self, index: int) -> program_lib.Functions:
    if index not in self._started:
      traced = self._traced.pop(index)
      # The chunk takes longest to compile, so it goes first.
      chunk = self._pool.submit(_compile, traced.chunk)
      init = self._pool.submit(_compile, traced.init, _once_options())
      finish = self._pool.submit(_compile, traced.finish)
      self._started[index] = program_lib.Functions(init, chunk, finish)
    return self._started[index]


def run_once(fn: Callable[..., Any], *args: Any) -> Any:
  """Calls a function that takes longer to compile than to run.

  Args:
    fn: the function, of arrays.
    *args: its arguments.

  Returns:
    What it returns.
  """
  return _compile(jax.jit(fn).trace(*args), _once_options())(*args)


def _once_options() -> dict[str, int]:
  """XLA's options for what runs once, and takes longer to compile than to run.

  On CPUs an unoptimized `init` compiles in two fifths of the time.
  """
  cpu = jax.default_backend() == 'cpu'
  return {'xla_backend_optimization_level': 0} if cpu else {}


def _compile(
  traced: jax.stages.Traced, options: Mapping[str, int] | None = None
) -> jax.stages.Compiled:
  return traced.lower().compile(compiler_options=dict(options or {}))
