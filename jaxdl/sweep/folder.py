"""The folder of a sweep, on behalf of all processes that run it together."""

from collections.abc import Iterable, Mapping
import json
import pathlib
from typing import Any, Self

from jaxdl.sweep import arrival
from jaxdl.sweep import claim
from jaxdl.sweep import lock
from jaxdl.sweep import planning
from jaxdl.sweep import processes
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import store as store_lib


class Folder:
  """Lets process 0 decide and create, and the others wait for it.

  A context manager, in which no other run can write to the folder: process 0
  holds its lock until no process of this run writes any more, after a failure
  for a minute at most (see `processes.Processes.part`): one whose chunk takes
  longer then ends without the lock.
  """

  def __init__(
    self,
    group: processes.Processes,
    out: str | pathlib.Path,
    plan: planning.Plan,
    settings: Mapping[str, Any],
    attributes: Mapping[str, Any],
  ):
    """Takes what `execute.run` is given; changes nothing."""
    self._group = group
    self._out = pathlib.Path(out)
    self._plan = plan
    self._settings = settings
    self._attributes = attributes
    self._lock = lock.Lock(out)
    self._is_open = False

  def __enter__(self) -> Self:
    if self._group.leads:
      self._lock.__enter__()
    return self

  def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
    try:
      if self._is_open:
        self._group.part(error)
    finally:
      self._lock.__exit__()

  def claim(self, *, resume: bool, overwrite: bool) -> int:
    """Checks that the sweep may be written; changes nothing.

    Args:
      resume: see `claim.claim`.
      overwrite: see `claim.claim`.

    Returns:
      How many cells a file of the record holds; 0 if there is none to go on
      with.
    """
    unit = 0
    if self._group.leads and claim.claim(
      self._out, self._plan, self._settings, resume=resume, overwrite=overwrite
    ):
      unit = store_lib.unit(store_lib.open_store(self._out))
    unit = int(self._group.agree('claimed', str(unit))[0])
    self._group.has_record = unit > 0
    return unit

  def open(
    self, shapes: Iterable[program_lib.Shapes], *, is_there: bool
  ) -> store_lib.Store:
    """Opens the store, once all processes are ready to write.

    Args:
      shapes: what the programs of this process record.
      is_there: whether there is a record to go on with; else one is created.

    Raises:
      ValueError: the record of process 0 is not seen by this one.
    """
    own = store_lib.variables(self._plan, shapes)
    each = self._group.agree('traced', json.dumps(own))
    if self._group.leads:
      self._lock.take()
      if is_there:
        store_lib.remove_partial_files(self._out)
      else:
        variables = store_lib.join(json.loads(variables) for variables in each)
        store_lib.create(
          self._out, self._plan, variables, self._settings, self._attributes
        )
    self._is_open = True
    self._group.agree('ready')
    if not self._group.leads and not arrival.wait_for(self._out / claim.RECORD):
      raise ValueError(
        f'process {self._group.index} sees no record in {self._out}, where '
        'process 0 made one; give an --out that all processes see'
      )
    self._group.has_record = True
    return store_lib.open_store(self._out)
