"""The laboratory: what a cell of a gradient-flow study is, and how it trains.

`complete` says which cells a grid has, `split` parts a cell into what is static
and what is dynamic, `builder` makes the experiment of a static part.
"""

from jaxdl.laboratory.axes import COMPUTE_DTYPES
from jaxdl.laboratory.axes import DEFAULTS
from jaxdl.laboratory.axes import split
from jaxdl.laboratory.axes import Static
from jaxdl.laboratory.backward import decades_lost
from jaxdl.laboratory.backward import log_cotangents
from jaxdl.laboratory.best_rate import at_best_rate
from jaxdl.laboratory.best_rate import over_axes
from jaxdl.laboratory.completion import complete
from jaxdl.laboratory.completion import distinct
from jaxdl.laboratory.completion import layer_names
from jaxdl.laboratory.completion import OWN
from jaxdl.laboratory.completion import sized_models
from jaxdl.laboratory.networks import batches
from jaxdl.laboratory.networks import builder
from jaxdl.laboratory.networks import model
from jaxdl.laboratory.networks import numbers
from jaxdl.laboratory.recurrent import log_cotangents_in_time
from jaxdl.laboratory.recurrent import PROBLEMS
from jaxdl.laboratory.recurrent import train_recurrent
from jaxdl.laboratory.trained import train

__all__ = [
  'COMPUTE_DTYPES',
  'DEFAULTS',
  'OWN',
  'PROBLEMS',
  'Static',
  'at_best_rate',
  'batches',
  'builder',
  'complete',
  'decades_lost',
  'distinct',
  'layer_names',
  'log_cotangents',
  'log_cotangents_in_time',
  'model',
  'numbers',
  'over_axes',
  'sized_models',
  'split',
  'train',
  'train_recurrent',
]
