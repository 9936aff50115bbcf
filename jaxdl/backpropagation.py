"""Backpropagation by hand: what each layer knows of its own derivative.

A layer maps x_i and w_i to x_{i+1}. Given dz/dx_{i+1}, its cotangent, a layer
needs only itself for both

  dz/dw_i = dz/dx_{i+1} . dx_{i+1}/dw_i    which updates its parameters, and
  dz/dx_i = dz/dx_{i+1} . dx_{i+1}/dx_i    which it hands to the layer before.

Here they are derived by hand and computed in NumPy, with no automatic
differentiation: to read, and to hold `jax.grad` against. See Rumelhart, Hinton
and Williams, 1986, "Learning representations by back-propagating errors".
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jaxdl import layers
import numpy as np

Array = np.ndarray
Backward = Callable[[Array, Any, Array], tuple[Any, Array]]


class Local(NamedTuple):
  """A layer, and its derivative derived by hand.

  Attributes:
    layer: computes x_{i+1}, `[batch, ...]`, from x_i and w_i, its params.
    backward: maps x_i, w_i and dz/dx_{i+1} to dz/dw_i and dz/dx_i.
  """

  layer: layers.Layer
  backward: Backward


def dense(features: int) -> Local:
  """`x W + b`, of x `[batch, in]`.

  dz/dW is x^T ct, dz/db the sum of ct over the batch, and dz/dx is ct W^T.

  Args:
    features: of the output.
  """

  def backward(x, params, ct):
    return type(params)(x.T @ ct, ct.sum(0)), ct @ np.asarray(params.w).T

  return Local(layers.dense(features), backward)


def conv(features: int, kernel_size: int) -> Local:
  """A convolution of stride 1 that keeps the size of `[batch, h, w, in]`.

  A dense layer that slides: each offset of the kernel is one product, and what
  goes back is laid where it was read.

  Args:
    features: of the output.
    kernel_size: odd.

  Raises:
    ValueError: the size is even, so that no pixel is its middle.
  """
  if kernel_size % 2 == 0:
    raise ValueError(f'kernel_size is {kernel_size}; it must be odd')
  half = kernel_size // 2

  def backward(x, params, ct):
    w = np.asarray(params.w)
    height, width = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
    grad, back = np.zeros_like(w), np.zeros_like(padded)
    for i, j in np.ndindex(kernel_size, kernel_size):
      window = (slice(None), slice(i, i + height), slice(j, j + width))
      grad[i, j] = np.einsum('bhwi,bhwo->io', padded[window], ct)
      back[window] += ct @ w[i, j].T
    inner = back[:, half : half + height, half : half + width]
    return type(params)(grad, ct.sum((0, 1, 2))), inner

  return Local(layers.conv(features, kernel_size), backward)


def batch_norm(eps: float = 1e-5) -> Local:
  """`scale * unit + bias`, where `unit = (x - mean) / sqrt(var + eps)`.

  Mean and variance depend on every example, so that dz/dx loses its mean and
  its part along `unit`: Ioffe and Szegedy, 2015, section 3.

  Args:
    eps: added to the variance.
  """

  def backward(x, params, ct):
    axes = tuple(range(x.ndim - 1))
    std = np.sqrt(x.var(axes) + eps)
    unit = (x - x.mean(axes)) / std
    grads = type(params)((ct * unit).sum(axes), ct.sum(axes))
    scaled = ct * np.asarray(params.scale)
    along = unit * (scaled * unit).mean(axes)
    return grads, (scaled - scaled.mean(axes) - along) / std

  return Local(layers.batch_norm(eps=eps), backward)


def tanh() -> Local:
  """`tanh(x)`: dz/dx is ct (1 - tanh(x)^2)."""

  def backward(x, params, ct):
    return params, ct * (1 - np.tanh(x) ** 2)

  return Local(layers.activation('tanh'), backward)


def max_pool() -> Local:
  """The largest of each 2x2 pixels: it gets the whole cotangent."""

  def backward(x, params, ct):
    batch, height, width, features = x.shape
    shape = (batch, height // 2, 2, width // 2, 2, features)
    blocks = x.reshape(shape)
    largest = blocks == blocks.max((2, 4), keepdims=True)
    return params, (largest * ct[:, :, None, :, None]).reshape(x.shape)

  return Local(layers.max_pool(2), backward)


def average_pool() -> Local:
  """The average over the image: each pixel gets an equal share."""

  def backward(x, params, ct):
    share = ct[:, None, None] / (x.shape[1] * x.shape[2])
    return params, np.broadcast_to(share, x.shape)

  return Local(layers.global_avg_pool(), backward)


def residual(branch: Local) -> Local:
  """`x + branch(x)`: the cotangent goes back unchanged, and through the branch.

  Args:
    branch: keeps the shape.
  """

  def backward(x, params, ct):
    grads, back = branch.backward(x, params.branch, ct)
    return params._replace(branch=grads), ct + back

  return Local(layers.residual(branch.layer), backward)


def cross_entropy_cotangent(logits: Array, labels: Array) -> Array:
  """Returns dz/dlogits of the mean cross-entropy: softmax less the label.

  Args:
    logits: `[batch, classes]`.
    labels: integers, `[batch]`.
  """
  shares = np.exp(logits - logits.max(1, keepdims=True))
  shares /= shares.sum(1, keepdims=True)
  return (shares - np.eye(logits.shape[1])[labels]) / len(labels)


def forward(
  network: Mapping[str, Local], params: Mapping[str, Any], x: jax.Array
) -> dict[str, jax.Array]:
  """Returns what enters each layer, and under `output` what leaves the last.

  Args:
    network: the layers, in order.
    params: of each.
    x: what enters the first, `[batch, ...]`.
  """
  inputs = {}
  for name, local in network.items():
    inputs[name] = x
    _, _, state = local.layer.init(jax.random.key(0), x.shape[1:])
    x, _ = local.layer.apply(params[name], state, x, train=True)
  return {**inputs, 'output': x}


def backward(
  network: Mapping[str, Local],
  params: Mapping[str, Any],
  inputs: Mapping[str, Any],
  ct: Array,
) -> tuple[dict[str, Any], dict[str, Array]]:
  """Goes through the two recursions, from the last layer to the first.

  Args:
    network: the layers, in order.
    params: of each.
    inputs: what entered each, as `forward` returns it.
    ct: dz/d(output).

  Returns:
    dz/dw_i and dz/dx_i, by the name of the layer.
  """
  grads, cotangents = {}, {}
  for name in reversed(list(network)):
    x = np.asarray(inputs[name])
    grads[name], ct = network[name].backward(x, params[name], ct)
    cotangents[name] = ct
  return grads, cotangents
