"""The loss of a classifier, and how often it is right."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

Array = jax.Array


def cross_entropy(logits: Array, labels: Array) -> Array:
  """Mean cross-entropy of the softmax of `logits`, in nats.

  Args:
    logits: `[batch, classes]`.
    labels: integers, `[batch]`.

  Returns:
    A scalar.
  """
  losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  return jnp.mean(losses)


# Szegedy et al., 2015, https://arxiv.org/abs/1409.4842, section 5.
_AUXILIARY_WEIGHT = 0.3


def with_auxiliary(
  logits: Array, auxiliary: Sequence[Array], labels: Array
) -> Array:
  """Cross-entropy, plus 0.3 times that of each auxiliary classifier.

  Args:
    logits: `[batch, classes]`.
    auxiliary: as many logits as there are auxiliary classifiers.
    labels: integers, `[batch]`.

  Returns:
    A scalar.
  """
  return cross_entropy(logits, labels) + _AUXILIARY_WEIGHT * sum(
    cross_entropy(other, labels) for other in auxiliary
  )


def accuracy(logits: Array, labels: Array) -> Array:
  """Share of examples whose largest logit is that of their label.

  Of equal largest logits the first counts. An example whose logits are not all
  finite counts as wrong.

  Args:
    logits: `[batch, classes]`.
    labels: integers, `[batch]`.

  Returns:
    A scalar, in [0, 1].
  """
  num_classes = logits.shape[-1]
  # `jnp.argmax` is lowered by a function that JAX makes anew, and keeps, for
  # each time that it is traced: a process that sweeps for days would grow.
  largest = logits == jnp.max(logits, axis=-1, keepdims=True)
  first = jnp.min(
    jnp.where(largest, jnp.arange(num_classes), num_classes), axis=-1
  )
  right = first == labels
  return jnp.mean(right & jnp.all(jnp.isfinite(logits), axis=-1))
