"""The network of a cell, and the experiment that trains it."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

from jaxdl import activations
from jaxdl import layers
from jaxdl import sweep
from jaxdl import training
from jaxdl.data import augmentation
from jaxdl.data import batches as batches_lib
from jaxdl.laboratory import axes
from jaxdl.layers import initializers
from jaxdl.models import zoo
from jaxdl.tracing import statistics

# Maps a trainer, the last state and the data to scalars.
Evaluate = Callable[
  [training.Trainer, training.TrainState, sweep.Data], dict[str, Any]
]


def on_test_split(
  trainer: training.Trainer, state: training.TrainState, data: sweep.Data
) -> dict[str, Any]:
  """Evaluates a trained network on the test split alone.

  Returns:
    `test_loss` and `test_accuracy`.
  """
  return trainer.evaluate(state, data.test_images, data.test_labels)


def on_both_splits(
  trainer: training.Trainer, state: training.TrainState, data: sweep.Data
) -> dict[str, Any]:
  """Evaluates a trained network on each split, both as at test.

  The accuracy of batches in training is another: of a network that still
  learns, and where layers are random in training, with their noise.

  Returns:
    `test_loss`, `test_accuracy`, and `train_loss`, `train_accuracy`.
  """
  train = trainer.evaluate(state, data.train_images, data.train_labels)
  renamed = {
    name.replace('test_', 'train_'): value for name, value in train.items()
  }
  return on_test_split(trainer, state, data) | renamed


def builder(
  in_shape: tuple[int, ...],
  num_classes: int,
  make_model: Callable[..., layers.Layer] | None = None,
  *,
  layerwise: bool = True,
  evaluate: Evaluate = on_test_split,
) -> Callable[[axes.Static], sweep.Experiment]:
  """Returns what builds the experiment of a static part.

  Args:
    in_shape: of one input.
    num_classes: number of labels.
    make_model: builds another network than `model`, from the same arguments.
    layerwise: whether layers are measured, or only the network as a whole.
    evaluate: what is recorded of a trained network.
  """
  make_model = make_model or model

  def build(static):
    def trainer(dynamic):
      return training.trainer(
        make_model(static, dynamic, num_classes),
        in_shape,
        _measure(static, dynamic) if layerwise else None,
        _update(static, dynamic),
        _augment(static),
      )

    def init(dynamic, key):
      with layers.base.naming(static.model):
        return trainer(dynamic).init(key)

    return sweep.Experiment(
      init=init,
      step=lambda state, batch, dynamic, key: trainer(dynamic).step(
        state, batch, key
      ),
      finish=lambda state, dynamic, data: evaluate(
        trainer(dynamic), state, data
      ),
    )

  return build


def batches(num_train: int) -> Callable[[sweep.Cell, int, int], Any]:
  """Returns what tells the engine which examples a batch of a cell holds.

  Cells of the same seed and batch size see the same batches.
  """

  def indices(cell, start, count):
    return batches_lib.batch_indices(
      cell['seed'], start, count, cell['batch_size'], num_train
    )

  return indices


def model(
  static: axes.Static,
  dynamic: sweep.experiment.Dynamic,
  num_classes: int,
  **options: Any,
) -> layers.Layer:
  """Builds the network of a cell.

  Args:
    static: its static part.
    dynamic: its dynamic part; may be traced.
    num_classes: number of logits.
    **options: further ones of the architecture.
  """
  if 'weight_std' in dynamic:
    weight_init = axes.SCALED_INITS[static.init](dynamic['weight_std'])
  else:
    weight_init = initializers.get(static.init)()
  sizes = {
    'depth': static.depth,
    'width': static.width,
    # Batch norm takes the mean away again, and with it any bias.
    'use_bias': not static.norm.startswith('batch'),
  }
  net = zoo.assemble(
    static.model,
    num_classes=num_classes,
    activation=layers.activation(
      static.activation, **numbers('activation', dynamic)
    ),
    norm=static.norm,
    shortcut=static.shortcut,
    weight_init=weight_init,
    bias_init=(
      initializers.normal(dynamic['bias_std'])
      if static.has_random_biases
      else initializers.zeros()
    ),
    **(sizes if axes.takes_sizes(static.model) else {}),
    **numbers('shortcut', dynamic),
    **options,
  )
  if static.compute_dtype == 'float32':
    return net
  return layers.in_dtype(net, static.compute_dtype)


def numbers(axis: str, dynamic: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the numbers that belong to the choice on an axis, by their names.

  Args:
    axis: such as `activation`.
    dynamic: the dynamic part of a cell; may be traced.
  """
  prefix = f'{axis}.'
  return {
    name.removeprefix(prefix): value
    for name, value in dynamic.items()
    if name.startswith(prefix)
  }


def _augment(static: axes.Static) -> Callable[..., Any] | None:
  if static.augment == 'none':
    return None
  return augmentation.augmentation(static.augment)


def _measure(
  static: axes.Static, dynamic: sweep.experiment.Dynamic
) -> statistics.Measure:
  """Measures activations; saturation is nearness to their flat ends."""
  described = activations.get(static.activation)
  return statistics.forward(
    described.flat_ends(**numbers('activation', dynamic))
  )


def _update(
  static: axes.Static, dynamic: sweep.experiment.Dynamic
) -> training.Update:
  rate = dynamic['learning_rate']
  make = functools.partial(training.optimizer.get(static.optimizer), rate)
  optimizer = make(**numbers('optimizer', dynamic))
  if static.decays:
    optimizer = training.optimizer.with_weight_decay(
      optimizer, dynamic['weight_decay']
    )
  only_scales = static.optimizer == 'sgd' and not static.decays
  return training.Update(
    clip=training.clipping.get(static.clip),
    threshold=dynamic['clip.threshold'],
    optimizer=optimizer,
    step_size=rate if only_scales else None,
  )
