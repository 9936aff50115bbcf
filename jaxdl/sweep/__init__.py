"""The sweep engine: any `Experiment`, over a grid, on all devices.

`Grid` labels the cells, `plan` groups them into programs, `run` trains and
records them, `open_record` reads what was recorded.
"""

from jaxdl.sweep import mesh
from jaxdl.sweep import tasks
from jaxdl.sweep.execute import Outcome
from jaxdl.sweep.execute import run
from jaxdl.sweep.experiment import Data
from jaxdl.sweep.experiment import Experiment
from jaxdl.sweep.grid import Cell
from jaxdl.sweep.grid import Grid
from jaxdl.sweep.memory import available_memory
from jaxdl.sweep.memory import predict_memory
from jaxdl.sweep.planning import Plan
from jaxdl.sweep.planning import plan
from jaxdl.sweep.planning import Program
from jaxdl.sweep.record import open_record
from jaxdl.sweep.store import StorageError
from jaxdl.sweep.writing import Event

__all__ = [
  'Cell',
  'Data',
  'Event',
  'Experiment',
  'Grid',
  'Outcome',
  'Plan',
  'Program',
  'StorageError',
  'available_memory',
  'mesh',
  'open_record',
  'plan',
  'predict_memory',
  'run',
  'tasks',
]
