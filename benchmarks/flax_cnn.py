"""ResNet-20 and VGG-16 for CIFAR as one writes them in Flax Linen."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

_he = nn.initializers.he_normal()
_conv = functools.partial(nn.Conv, kernel_size=(3, 3), kernel_init=_he)

VGG16 = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


class Block(nn.Module):
  """Two 3x3 convolutions, and past them an identity: option A."""

  features: int
  strides: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[batch, height, width, in]` to `[..., features]`."""
    norm = functools.partial(
      nn.BatchNorm, use_running_average=False, momentum=0.9, epsilon=1e-5
    )
    conv = functools.partial(_conv, self.features, use_bias=False)
    y = nn.relu(norm()(conv(strides=self.strides)(x)))
    y = norm()(conv()(y))
    added = self.features - x.shape[-1]
    x = x[:, :: self.strides, :: self.strides]
    x = jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, added)])
    return nn.relu(x + y)


class ResNet20(nn.Module):
  """He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2."""

  num_classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps images to logits, in training."""
    x = _conv(16, use_bias=False)(x)
    x = nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)(x)
    x = nn.relu(x)
    for features, strides in ((16, 1), (32, 2), (64, 2)):
      for block_strides in (strides, 1, 1):
        x = Block(features, block_strides)(x)
    x = jnp.mean(x, axis=(1, 2))
    return nn.Dense(self.num_classes, kernel_init=_he)(x)


class VGG16Cifar(nn.Module):
  """Configuration D of Simonyan & Zisserman, 2015, with a single dense layer.

  See https://arxiv.org/abs/1409.1556.
  """

  num_classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps images to logits."""
    for stage in VGG16:
      for features in stage:
        x = nn.relu(_conv(features)(x))
      x = nn.max_pool(x, (2, 2), strides=(2, 2))
    x = x.reshape(len(x), -1)
    return nn.Dense(self.num_classes, kernel_init=_he)(x)


MODELS: dict[str, Callable[[int], nn.Module]] = {
  'resnet20': ResNet20,
  'vgg16_cifar': VGG16Cifar,
}


class TrainState(NamedTuple):
  """All that the next step needs."""

  params: Any
  batch_stats: Any
  opt_state: optax.OptState


def training(
  model: nn.Module, optimizer: optax.GradientTransformation
) -> tuple[Callable[..., TrainState], Callable[..., Any]]:
  """Returns `init(key, images)` and `step(state, images, labels)`.

  A step returns the next state, and its loss by that name.
  """

  def init(key, images):
    variables = model.init(key, images)
    params = variables['params']
    stats = variables.get('batch_stats', {})
    return TrainState(params, stats, optimizer.init(params))

  def step(state, images, labels):
    def loss_fn(params):
      variables = {'params': params, 'batch_stats': state.batch_stats}
      logits, updated = model.apply(variables, images, mutable=['batch_stats'])
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return jnp.mean(loss), updated.get('batch_stats', {})

    value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, stats), grads = value_and_grad(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, stats, opt_state), {'loss': loss}

  return init, step
