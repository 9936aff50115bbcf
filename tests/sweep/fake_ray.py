"""Stands in for the package `ray`, so that what a cluster does is at hand."""

import types
from unittest import mock


class Cluster:
  """What `ray` is imported as; its tasks end as they were told to.

  A task computes nothing. Each attempt at a program ends in the next of its
  endings: what `ray.get` returns, or raises if it is an exception. A task that
  none is left for waits for a machine, until it is cancelled.

  Attributes:
    started: of each attempt, the number of its program and its cores.
    cancelled: of each task that was cancelled, the number of its program and
      whether by force.
  """

  exceptions = types.SimpleNamespace(
    **{
      name: type(name, (Exception,), {})
      for name in (
        'LocalRayletDiedError',
        'NodeDiedError',
        'OutOfMemoryError',
        'TaskCancelledError',
        'WorkerCrashedError',
      )
    }
  )

  def __init__(self, endings, machines=({'CPU': 2.0},)):
    self._endings = {number: list(each) for number, each in endings.items()}
    self._machines = machines
    self._ended = {}
    self._looks = 0
    self.started = []
    self.cancelled = []

  def installed(self):
    """Returns a context in which it is what `ray` is imported as."""
    return mock.patch.dict('sys.modules', {'ray': self})

  def is_initialized(self):
    return True

  def nodes(self):
    return [{'Alive': True, 'Resources': each} for each in self._machines]

  def put(self, data):
    return data

  def remote(self, **options):
    assert options['max_retries'] == 0, 'Ray retries for ever out of memory'
    return lambda work: types.SimpleNamespace(options=self._options)

  def _options(self, *, num_cpus):
    return types.SimpleNamespace(
      remote=lambda task, *_: self._start(task, num_cpus)
    )

  def _start(self, task, cpus):
    reference = len(self.started), task.number
    self.started.append((task.number, cpus))
    if endings := self._endings.get(task.number):
      self._ended[reference] = endings.pop(0)
    return reference

  def wait(self, references, *, num_returns, timeout):
    del num_returns, timeout
    self._looks += 1
    assert self._looks < 100, 'it would wait for ever'
    ended = [each for each in references if each in self._ended]
    return ended, [each for each in references if each not in self._ended]

  def get(self, reference):
    if isinstance(ending := self._ended[reference], Exception):
      raise ending
    return ending

  def cancel(self, reference, *, force):
    self.cancelled.append((reference[1], force))
    self._ended.setdefault(reference, self.exceptions.TaskCancelledError())
