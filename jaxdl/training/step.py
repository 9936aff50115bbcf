"""One training step of a model, measured at every layer if it is asked to."""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import tracing
from jaxdl.models.units import Units
from jaxdl.tracing import statistics
from jaxdl.training import clipping
from jaxdl.training import layerwise
from jaxdl.training import loss
import optax

Array = jax.Array
Batch = tuple[Array, Array]  # Inputs [batch, ...] and labels [batch].
Metrics = dict[str, Array]  # Each [] or [layer].

_TEST_BATCH = 500
_AUGMENT = 2**31 - 1  # Folded into a step's key; no layer has this number.


class TrainState(NamedTuple):
  """All that the next step needs."""

  params: Units
  model_state: Units
  opt_state: optax.OptState


class Trainer(NamedTuple):
  """Pure functions; the caller decides on jit.

  Attributes:
    init: maps a key to the first state.
    step: maps a state, a batch and a key to the next state and the metrics of
      the step: those of `docs/architecture.md`, or of them those of no layer.
    evaluate: maps a state, inputs and labels to `test_loss`, `test_accuracy`.
  """

  init: Callable[[Array], TrainState]
  step: Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]
  evaluate: Callable[[TrainState, Array, Array], Metrics]


class Update(NamedTuple):
  """How gradients become updates.

  Attributes:
    clip: a way to clip.
    threshold: of clipping.
    optimizer: an optax optimizer.
    step_size: if the optimizer only multiplies the gradient by this, then the
      updates' norms follow from it and need not be measured.
  """

  clip: clipping.Clip
  threshold: float | Array
  optimizer: optax.GradientTransformation
  step_size: float | Array | None = None


def trainer(
  model: layers.Layer,
  in_shape: tuple[int, ...],
  activation: statistics.Measure | None,
  update: Update,
  augment: Callable[[Array, Array], Array] | None = None,
) -> Trainer:
  """Builds the training of a model.

  Args:
    model: a chain of units, from inputs to logits. In training it may return
      a tuple: the logits, and those of auxiliary classifiers.
    in_shape: of one input.
    activation: how the activation of a unit is measured; None measures nothing
      of the layers, which takes less time.
    update: how the parameters learn.
    augment: maps a key and the inputs of a batch to those that are trained on.
  """

  def init(key):
    _, params, model_state = model.init(key, in_shape)
    return TrainState(params, model_state, update.optimizer.init(params))

  def step(state, batch, key):
    inputs, labels = batch
    if augment:
      inputs = augment(jax.random.fold_in(key, _AUGMENT), inputs)

    def loss_fn(params):
      answers, model_state = model.apply(
        params, state.model_state, inputs, train=True, key=key
      )
      logits, *auxiliary = jax.tree.leaves(answers)
      value = loss.with_auxiliary(logits, auxiliary, labels)
      return value, (model_state, loss.accuracy(logits, labels))

    (value, (model_state, accuracy)), grads, signals = _differentiated(
      loss_fn, state.params, activation
    )
    params, opt_state, metrics = _apply_gradients(state, grads, update)
    metrics |= {'loss': value, 'accuracy': accuracy} | signals
    if activation is None:
      metrics = {name: x for name, x in metrics.items() if not x.ndim}
    return TrainState(params, model_state, opt_state), metrics

  def evaluate(state, inputs, labels):
    def logits_of(batch):
      return model.apply(state.params, state.model_state, batch)[0]

    logits = _in_batches(logits_of, inputs)
    return {
      'test_loss': loss.cross_entropy(logits, labels),
      'test_accuracy': loss.accuracy(logits, labels),
    }

  return Trainer(init, step, evaluate)


def _differentiated(
  loss_fn: Callable[[Units], Any],
  params: Units,
  activation: statistics.Measure | None,
) -> tuple[Any, Units, Metrics]:
  """The loss with what it returns beside it, its gradients, its signals."""
  if activation is None:
    return *jax.value_and_grad(loss_fn, has_aux=True)(params), {}
  scopes = outputs(params)
  taps = functools.partial(_taps, scopes, activation)
  value, grads, profile = tracing.probe(loss_fn, has_aux=True, taps=taps)(
    params
  )
  return value, grads, _signals(profile, scopes)


def _apply_gradients(
  state: TrainState, grads: Units, update: Update
) -> tuple[Units, optax.OptState, Metrics]:
  """Clips, updates, and measures both."""
  norms = layerwise.norms(grads)
  clipped = update.clip(grads, state.params, norms, update.threshold)
  updates, opt_state = update.optimizer.update(
    clipped.grads, state.opt_state, state.params
  )
  if update.step_size is None:
    update_norms = layerwise.norms(updates)
  else:
    update_norms = clipped.norms * update.step_size
  parameter_norms = layerwise.norms(state.params)
  positive = jnp.where(parameter_norms > 0, parameter_norms, jnp.nan)
  metrics = {
    'gradient_norm': norms,
    'gradient_rms': norms / jnp.sqrt(layerwise.sizes(grads)),
    'gradient_removed': clipped.removed,
    'parameter_norm': parameter_norms,
    'update_ratio': update_norms / positive,
    'global_gradient_norm': statistics.norm(norms),
    'global_gradient_norm_clipped': statistics.norm(clipped.norms),
    'clip_bound': clipped.bound.astype(jnp.float32),
  }
  return optax.apply_updates(state.params, updates), opt_state, metrics


def outputs(params: Units) -> tuple[str, ...]:
  """Returns the scope that the output of each unit leaves, in order of depth.

  Args:
    params: of a model.
  """
  return tuple(
    f'{name}/layer' if layerwise.num_layer_axes(unit) else name
    for name, unit in params.items()
  )


def _taps(
  scopes: Sequence[str],
  activation: statistics.Measure,
  found: Sequence[tracing.Site],
) -> dict[str, tracing.Taps]:
  """Measures each unit's activation, and the cotangent of its output."""
  paths = {path for site in found for path in site.paths}
  taps = {}
  for output in scopes:
    last = f'{output}/activation'
    if last in paths:
      taps[last] = tracing.Taps(forward=activation)
      taps[output] = tracing.Taps(backward=statistics.backward())
    else:
      taps[output] = tracing.Taps(statistics.forward(), statistics.backward())
  return taps


def _signals(profile: tracing.Profile, scopes: Sequence[str]) -> Metrics:
  """Puts the layers' statistics one after the other, `[layer]`."""
  measured = [
    profile.get(f'{output}/activation', profile[output]) for output in scopes
  ]
  forward = _joined(signal.forward for signal in measured)
  backward = _joined(profile[output].backward for output in scopes)
  return {
    **{f'activation_{k}': v for k, v in forward._asdict().items()},
    **{f'cotangent_{k}': v for k, v in backward._asdict().items()},
  }


def _joined(parts: Any) -> Any:
  return jax.tree.map(
    lambda *values: jnp.concatenate([v.reshape(-1) for v in values]),
    *parts,
  )


def _in_batches(fn: Callable[[Array], Array], inputs: Array) -> Array:
  """Maps over slices of the batch axis, so that little memory is needed."""
  count = len(inputs)
  if count <= _TEST_BATCH:
    return fn(inputs)
  num_batches = -(-count // _TEST_BATCH)
  size = -(-count // num_batches)
  padding = [(0, num_batches * size - count)] + [(0, 0)] * (inputs.ndim - 1)
  batches = jnp.pad(inputs, padding).reshape(
    num_batches, size, *inputs.shape[1:]
  )
  outputs = jax.lax.map(fn, batches)
  return outputs.reshape(num_batches * size, *outputs.shape[2:])[:count]
