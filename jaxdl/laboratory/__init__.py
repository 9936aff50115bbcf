"""The laboratory: what a cell of a gradient-flow study is, and how it trains.

`complete` says which cells a grid has, `split` parts a cell into what is static
and what is dynamic, `builder` makes the experiment of a static part.
"""

from jaxdl.laboratory.axes import COMPUTE_DTYPES
from jaxdl.laboratory.axes import DEFAULTS
from jaxdl.laboratory.axes import DRAWING
from jaxdl.laboratory.axes import split
from jaxdl.laboratory.axes import Static
from jaxdl.laboratory.backward import log_cotangents
from jaxdl.laboratory.best_rate import at_best_rate
from jaxdl.laboratory.best_rate import over_axes
from jaxdl.laboratory.completion import complete
from jaxdl.laboratory.completion import distinct
from jaxdl.laboratory.completion import layer_names
from jaxdl.laboratory.completion import OWN
from jaxdl.laboratory.completion import sized_models
from jaxdl.laboratory.convergence import fewest_steps
from jaxdl.laboratory.convergence import steps_until
from jaxdl.laboratory.convergence import times_as_many
from jaxdl.laboratory.networks import batches
from jaxdl.laboratory.networks import builder
from jaxdl.laboratory.networks import model
from jaxdl.laboratory.networks import numbers
from jaxdl.laboratory.networks import on_both_splits
from jaxdl.laboratory.networks import on_test_split
from jaxdl.laboratory.recurrent import log_cotangents_in_time
from jaxdl.laboratory.recurrent import PROBLEMS
from jaxdl.laboratory.recurrent import train_recurrent
from jaxdl.laboratory.trained import train
from jaxdl.laboratory.zero_mean import on_test_split_and_shifts
from jaxdl.laboratory.zero_mean import shifts_by_layer

__all__ = [
  'COMPUTE_DTYPES',
  'DEFAULTS',
  'DRAWING',
  'OWN',
  'PROBLEMS',
  'Static',
  'at_best_rate',
  'batches',
  'builder',
  'complete',
  'distinct',
  'fewest_steps',
  'layer_names',
  'log_cotangents',
  'log_cotangents_in_time',
  'model',
  'numbers',
  'on_both_splits',
  'on_test_split',
  'on_test_split_and_shifts',
  'over_axes',
  'shifts_by_layer',
  'sized_models',
  'split',
  'steps_until',
  'times_as_many',
  'train',
  'train_recurrent',
]
