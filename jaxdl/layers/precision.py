"""Computing in another floating-point format than parameters are kept in."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxdl.layers import base


def in_dtype(layer: base.Layer, dtype: Any) -> base.Layer:
  """The same layer, computed in `dtype`; params stay as they are.

  Parameters and inputs are rounded on the way in; outputs are float32, or the
  input's type where that is wider. Gradients arrive in the parameters' own
  type: with bfloat16, the mixed precision of Micikevicius et al., 2018,
  https://arxiv.org/abs/1710.03740, which needs no loss scaling for the range of
  bfloat16. State, such as running statistics, is not rounded.

  Args:
    layer: the layer, or a whole model.
    dtype: what it is computed in, such as `jnp.bfloat16`.
  """

  def apply(params, state, x, *, train=False, key=None):
    y, state = layer.apply(
      _cast(params, dtype), state, _cast(x, dtype), train=train, key=key
    )
    return _cast(y, jnp.promote_types(x.dtype, jnp.float32)), state

  return base.Layer(layer.init, apply)


def _cast(tree: Any, dtype: Any) -> Any:
  return jax.tree.map(
    lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a,
    tree,
  )
