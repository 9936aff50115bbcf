"""The loss of a classifier, and how often it is right."""

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


def accuracy(logits: Array, labels: Array) -> Array:
  """Share of examples whose largest logit is that of their label.

  An example whose logits are not all finite counts as wrong.

  Args:
    logits: `[batch, classes]`.
    labels: integers, `[batch]`.

  Returns:
    A scalar, in [0, 1].
  """
  right = jnp.argmax(logits, axis=-1) == labels
  return jnp.mean(right & jnp.all(jnp.isfinite(logits), axis=-1))
