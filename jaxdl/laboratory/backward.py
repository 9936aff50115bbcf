"""The gradient on its way back through a network that is not yet trained."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import sweep
from jaxdl import tracing
from jaxdl import training
from jaxdl.data import sources
from jaxdl.laboratory import axes
from jaxdl.laboratory import completion
from jaxdl.laboratory import networks
import numpy as np


def log_cotangents(
  cell: Mapping[str, sweep.grid.Value],
  dataset: sources.Dataset,
  num_seeds: int,
  make_model: Callable[..., layers.Layer] | None = None,
) -> np.ndarray:
  """Measures how large dz/dx is at each layer's output, whatever its size.

  Args:
    cell: values of the axes; `laboratory.DEFAULTS` has those not given. Its
      seed counts for nothing.
    dataset: preprocessed, float32; the first batch is taken.
    num_seeds: networks, of seeds 0, 1, ...
    make_model: as `laboratory.builder` takes it.

  Returns:
    log10 of the root mean square over the batch, `[seed, layer]`, the readout
    last; minus infinity where it is exactly zero.
  """
  whole = completion.complete({**axes.DEFAULTS, **cell})
  static, dynamic = axes.split(whole)
  numbers = {name: jnp.asarray(value) for name, value in dynamic.items()}
  model = (make_model or networks.model)(static, numbers, dataset.num_classes)
  images = jnp.asarray(dataset.train_images[: static.batch_size])
  labels = jnp.asarray(dataset.train_labels[: static.batch_size])

  def measure(key: jax.Array) -> Any:
    _, params, state = model.init(key, images.shape[1:])

    def loss_fn(params):
      logits, _ = model.apply(params, state, images, train=True, key=key)
      return training.loss.cross_entropy(logits, labels)

    found = tracing.log_cotangent_profile(loss_fn)(params)
    scopes = training.outputs(params)
    return jnp.concatenate([found[scope].reshape(-1) for scope in scopes])

  keys = jax.vmap(jax.random.key)(jnp.arange(num_seeds))
  return np.asarray(jax.jit(lambda keys: jax.lax.map(measure, keys))(keys))
