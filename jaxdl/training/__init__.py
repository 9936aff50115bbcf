"""Training: loss, clipping, optimizers, and the step that measures."""

from jaxdl.training import clipping as clipping
from jaxdl.training import layerwise as layerwise
from jaxdl.training import loss as loss
from jaxdl.training import optimizer as optimizer
from jaxdl.training.step import outputs as outputs
from jaxdl.training.step import Trainer as Trainer
from jaxdl.training.step import trainer as trainer
from jaxdl.training.step import TrainState as TrainState
from jaxdl.training.step import Update as Update
