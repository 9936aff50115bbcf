"""A model as a chain of units: what a study counts as its layers.

A unit has parameters and one output: a layer of a plain network, a block of a
residual one, an inception block. Its name is the scope it is applied in. The
last activation of a unit lies in its scope `activation`; a unit without one,
such as a readout, is measured at its output.

A unit that `layers.repeat` made stands for several of one kind: `hidden` of n
layers is `hidden/layer` in the scopes, which a probe reports with a leading
axis of size n.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
from jaxdl import layers
from jaxdl.layers import base


@jax.tree_util.register_pytree_with_keys_class
class Units(Mapping[str, Any]):
  """What a chain holds of each unit, by name and in order of depth.

  Params and state of a model are `Units`, and so are gradients and updates. An
  immutable mapping and a pytree; the names are static.
  """

  def __init__(self, units: Mapping[str, Any] | Iterable[tuple[str, Any]]):
    self._units = dict(units)

  def __getitem__(self, name: str) -> Any:
    return self._units[name]

  def __iter__(self) -> Iterator[str]:
    return iter(self._units)

  def __len__(self) -> int:
    return len(self._units)

  def __repr__(self) -> str:
    return f'Units({self._units})'

  def tree_flatten_with_keys(self):
    """Flattens; the names keep their order."""
    keys = map(jax.tree_util.DictKey, self._units)
    children = zip(keys, self._units.values(), strict=True)
    return tuple(children), tuple(self._units)

  def tree_flatten(self):
    """As `tree_flatten_with_keys`, without keys."""
    return tuple(self._units.values()), tuple(self._units)

  @classmethod
  def tree_unflatten(cls, names, children):
    """Inverse of `tree_flatten`."""
    return cls(zip(names, children, strict=True))


def chain(units: Mapping[str, base.Layer]) -> base.Layer:
  """Composes units in order; params and state are `Units` of the same names.

  Args:
    units: the layers by name; each takes the output of the one before.

  Raises:
    LayerError: in `init`, if a layer cannot take what it is given.
  """
  whole = layers.named(units)

  def init(key, in_shape):
    out_shape, params, state = whole.init(key, in_shape)
    return (
      out_shape,
      Units(zip(units, params, strict=True)),
      Units(zip(units, state, strict=True)),
    )

  def apply(params, state, x, *, train=False, key=None):
    y, new_state = whole.apply(
      tuple(params.values()), tuple(state.values()), x, train=train, key=key
    )
    return y, Units(zip(units, new_state, strict=True))

  return base.Layer(init, apply)
