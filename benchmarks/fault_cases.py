"""Faults put into models, each with the verdicts that it deserves."""

from collections.abc import Callable, Iterator
import functools
from typing import Any, NamedTuple

from benchmarks import fault_models
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Params = dict[str, Array]
Batch = tuple[Array, ...]
Change = Callable[[Params, Batch], tuple[Params, Batch]]
# By fault and model: what makes the model, what changes it, the learning rate.
_Faults = dict[str, dict[str, tuple[Any, ...]]]


class Case(NamedTuple):
  """A model with or without a fault.

  Attributes:
    name: of the fault and the model.
    make: maps a size to the model; equal ones share a program.
    change: puts the fault into its parameters and its batch.
    learning_rate: of Adam, whose first update is measured.
    verdicts: those that are right.
  """

  name: str
  make: Callable[[int], fault_models.Model]
  change: Change
  learning_rate: float
  verdicts: frozenset[str]


def cases() -> Iterator[Case]:
  """All cases; each is meant for several seeds and both sizes."""
  for verdict, faults in _FAULTS.items():
    for fault, made in faults.items():
      for name, (make, change, *rate) in made.items():
        yield Case(
          f'{fault}, {name}',
          make,
          change,
          rate[0] if rate else 1e-3,
          frozenset({verdict} - {''}),
        )


def _as_it_is(params: Params, batch: Batch) -> tuple[Params, Batch]:
  return params, batch


def _kernels(factor: float, among: str = '') -> Change:
  """Multiplies kernels whose names contain `among`."""

  def change(params, batch):
    scaled = {
      name: factor * p if _is_hidden_kernel(name, p) and among in name else p
      for name, p in params.items()
    }
    return scaled, batch

  return change


def _is_hidden_kernel(name: str, p: Array) -> bool:
  outside = ('embed', 'position', 'readout', 'stem', 'input')
  return p.ndim > 1 and not any(word in name for word in outside)


def _biases(shift: float, among: str) -> Change:
  def change(params, batch):
    shifted = {
      name: p + shift if p.ndim == 1 and among in name else p
      for name, p in params.items()
    }
    return shifted, batch

  return change


def _random_biases(deviation: float) -> Change:
  def change(params, batch):
    random = np.random.RandomState(2)
    drawn = {
      name: jnp.asarray(deviation * random.randn(*p.shape), jnp.float32)
      if p.ndim == 1 and 'readout' not in name
      else p
      for name, p in params.items()
    }
    return drawn, batch

  return change


def _filled(value: float | None, among: str = '') -> Change:
  """Kernels with a constant, or all columns like the first."""

  def fill(p):
    return p * 0 + (p[..., :1] if value is None else value)

  def change(params, batch):
    filled = {
      name: fill(p) if p.ndim > 1 and among in name else p
      for name, p in params.items()
    }
    return filled, batch

  return change


def _data(change: Callable[[Array], Array]) -> Change:
  return lambda params, batch: (params, (change(batch[0]), *batch[1:]))


def _nan_in(name: str) -> Change:
  def change(params, batch):
    (found,) = (n for n in params if n.endswith(name))
    return params | {found: params[found].at[0].set(jnp.nan)}, batch

  return change


def _bytes(x: Array) -> Array:
  return jnp.round(255 * jax.nn.sigmoid(x))


def _copies(x: Array) -> Array:
  return jnp.broadcast_to(x[:1], x.shape)


def _one_hot(x: Array) -> Array:
  return jax.nn.one_hot(jnp.argmax(x, -1), x.shape[-1])


def _scaled(scale: float) -> Callable[[Array, Array], Array]:
  """The cross entropy times a scale."""
  return lambda logits, labels: (
    scale * fault_models.cross_entropy(logits, labels)
  )


def _with_spare(make: Callable[[int], fault_models.Model], size: int):
  """A model that has parameters which it does not use."""
  loss, params, batch = make(size)
  wrapped = {'used': params, 'spare': {'kernel': jnp.eye(3)}}
  unused = lambda model, *args: loss(model['used'], *args)
  return fault_models.Model(unused, wrapped, batch)


_P = functools.partial
_mlp = _P(fault_models.mlp)
_tanh = _P(_mlp, activation=jnp.tanh, gain=1.0)
_sigmoid = _P(_mlp, activation=jax.nn.sigmoid, gain=1.0)
_half = _P(_mlp, dtype=jnp.float16)
_half_tanh = _P(_tanh, dtype=jnp.float16)
_normed = _P(fault_models.normed_mlp)
_cnn = _P(fault_models.cnn)
_plain_cnn = _P(fault_models.cnn, has_norm=False)
_nnx_cnn = fault_models.nnx_cnn
_equinox = fault_models.equinox_mlp
_transformer = _P(fault_models.transformer)
_encoder = fault_models.linen_transformer
_residual = fault_models.residual
_recurrent = fault_models.recurrent
_regression = _P(fault_models.regression)

_VANISHING: _Faults = {
  'small weights': {
    'MLP': (_mlp, _kernels(0.2)),
    'MLP of tanh': (_tanh, _kernels(0.2)),
    'CNN': (_plain_cnn, _kernels(0.1)),
    'Equinox': (_equinox, _kernels(0.05)),
    'RNN': (_recurrent, _kernels(0.3)),
  },
  'slightly small weights': {'MLP': (_mlp, _kernels(0.4))},
  'sigmoids': {'MLP': (_sigmoid, _as_it_is)},
  'one layer with tiny weights': {
    'MLP': (_mlp, _kernels(1e-5, 'dense_03')),
    'CNN': (_plain_cnn, _kernels(1e-5, 'conv_3')),
  },
}
_EXPLODING: _Faults = {
  'large weights': {
    'MLP': (_mlp, _kernels(5.0)),
    'CNN': (_plain_cnn, _kernels(8.0)),
    'Equinox': (_equinox, _kernels(50.0)),
    'residual': (_residual, _kernels(30.0, 'out')),
  },
  'slightly large weights': {'MLP': (_mlp, _kernels(3.0))},
  'weights that overflow': {'MLP': (_mlp, _kernels(1e6))},
}
_DEAD: _Faults = {
  'biases below zero': {
    'MLP': (_mlp, _biases(-50.0, 'dense_04')),
    'all of the MLP': (_mlp, _biases(-20.0, 'dense')),
    'CNN': (_plain_cnn, _biases(-50.0, 'conv_2')),
    'CNN with norm': (_cnn, _biases(-50.0, 'norm_0/bias')),
    'NNX CNN': (_nnx_cnn, _biases(-50.0, 'second')),
    'Equinox': (_equinox, _biases(-50.0, 'layers/1')),
    'encoder': (_encoder, _biases(-50.0, 'block_0/up')),
  },
}
_SATURATED: _Faults = {
  'huge weights': {
    'MLP of tanh': (_tanh, _kernels(200.0, 'dense_03')),
    'MLP of sigmoids': (_sigmoid, _kernels(500.0, 'dense_03')),
    'RNN': (_recurrent, _kernels(300.0)),
  },
  'huge queries': {
    'transformer': (_transformer, _kernels(300.0, 'query')),
    'encoder': (_encoder, _kernels(300.0, 'query')),
  },
}
_SYMMETRIC: _Faults = {
  'constant weights': {
    'MLP': (_mlp, _filled(0.1)),
    'MLP of tanh': (_tanh, _filled(0.1)),
    'Equinox': (_equinox, _filled(0.1)),
    'a layer of the CNN': (_cnn, _filled(0.1, 'conv_1')),
    'a layer of the MLP': (_mlp, _filled(0.05, 'dense_02')),
  },
  'zero weights': {'MLP': (_mlp, _filled(0.0)), 'CNN': (_cnn, _filled(0.0))},
  'equal columns': {'MLP': (_mlp, _filled(None))},
}
_DISCONNECTED: _Faults = {
  'stop_gradient': {
    'MLP': (_P(_mlp, between=lax.stop_gradient), _as_it_is),
    'transformer': (_P(_transformer, between=lax.stop_gradient), _as_it_is),
  },
  'argmax': {'MLP': (_P(_mlp, between=_one_hot), _as_it_is)},
  'rounded': {'MLP of tanh': (_P(_tanh, between=jnp.round), _as_it_is)},
  'unused': {
    'MLP': (_P(_with_spare, _mlp), _as_it_is),
    'residual': (_P(_with_spare, _residual), _as_it_is),
  },
}
_BATCH_NORM: _Faults = {
  'a batch of one': {
    'MLP': (_P(_normed, batch=1), _as_it_is),
    'CNN of pixels': (_P(_cnn, batch=1, image=1), _as_it_is),
  },
  'copies of one example': {
    'MLP': (_normed, _data(_copies)),
    'CNN of pixels': (_P(_cnn, image=1), _data(_copies)),
  },
}
_INPUT_SCALE: _Faults = {
  'bytes': {
    'MLP': (_mlp, _data(_bytes)),
    'CNN': (_cnn, _data(_bytes)),
    'NNX CNN': (_nnx_cnn, _data(_bytes)),
    'Equinox': (_equinox, _data(_bytes)),
  },
  'large data': {
    'encoder': (_encoder, _data(lambda x: 1e3 * x)),
    'MLP of tanh': (_tanh, _data(lambda x: 1e3 * x)),
    'regression': (_regression, _data(lambda x: 1e5 * x)),
  },
  'small data': {'Equinox': (_equinox, _data(lambda x: 1e-4 * x))},
  'data far off zero': {'MLP': (_mlp, _data(lambda x: x + 9))},
}
_UNDERFLOW: _Faults = {
  'a small loss in float16': {
    'MLP': (_P(_half, loss=_scaled(1e-5)), _as_it_is),
    'MLP of tanh': (_P(_half_tanh, loss=_scaled(1e-6)), _as_it_is),
  },
  'a tiny loss in float16': {
    'MLP': (_P(_half, loss=_scaled(1e-8)), _as_it_is),
  },
}
_UPDATE: _Faults = {
  'learning rate 1': {
    'MLP': (_mlp, _as_it_is, 1.0),
    'CNN': (_cnn, _as_it_is, 1.0),
    'transformer': (_transformer, _as_it_is, 1.0),
    'Equinox': (_equinox, _as_it_is, 1.0),
    'encoder': (_encoder, _as_it_is, 0.3),
  },
}
_COLLAPSE: _Faults = {
  'attention without shortcuts': {
    'transformer': (_P(_transformer, has_skip=False), _as_it_is),
  },
  'large random biases': {
    'MLP': (_P(_mlp, gain=1.0), _random_biases(5.0)),
    'Equinox': (_equinox, _random_biases(5.0)),
  },
}
_BROADCAST: _Faults = {
  'labels without an axis': {
    'regression': (_P(_regression, error=lambda p, y: p - y), _as_it_is),
    'regression of hinges': (
      _P(_regression, error=lambda p, y: jax.nn.relu(1 - p * y)),
      _as_it_is,
    ),
    'regression of columns': (
      _P(_regression, error=lambda p, y: p[:, 0] - y, has_column=True),
      _as_it_is,
    ),
  },
}
_NONFINITE: _Faults = {
  'a root of zero': {
    'MLP': (_P(_mlp, between=lambda x: x + jnp.sqrt(x * 0)), _as_it_is),
    'transformer': (
      _P(_transformer, between=lambda x: x + jnp.sqrt(x * 0)),
      _as_it_is,
    ),
  },
  'a logarithm of negative numbers': {
    'MLP of tanh': (_P(_tanh, between=lambda x: jnp.log(x - 2)), _as_it_is),
  },
  'a parameter that is NaN': {
    'MLP': (_mlp, _nan_in('dense_02/kernel')),
    'CNN': (_cnn, _nan_in('conv_0/bias')),
    'encoder': (_encoder, _nan_in('block_0/norm1/scale')),
  },
}
_HEALTHY: _Faults = {
  'as it is': {
    'MLP': (_mlp, _as_it_is),
    'MLP of tanh': (_tanh, _as_it_is),
    'CNN with norm': (_cnn, _as_it_is),
    'CNN': (_plain_cnn, _as_it_is),
    'NNX CNN': (_nnx_cnn, _as_it_is),
    'MLP with norm': (_normed, _as_it_is),
    'Equinox': (_equinox, _as_it_is),
    'transformer': (_transformer, _as_it_is),
    'encoder': (_encoder, _as_it_is),
    'residual': (_residual, _as_it_is),
    'RNN': (_recurrent, _as_it_is),
    'regression': (_regression, _as_it_is),
    'MLP in float16': (_half, _as_it_is),
  },
  'all pairs on purpose': {
    'regression': (
      _P(_regression, error=lambda p, y: p[:, 0][:, None] - y[None]),
      _as_it_is,
    ),
  },
  'a loss of 1e-6': {
    'MLP': (_P(_mlp, loss=_scaled(1e-6)), _as_it_is),
    'MLP with a scaled loss in float16': (
      _P(_half, loss=_scaled(1024.0)),
      _as_it_is,
    ),
  },
  'weights a bit off': {
    'MLP': (_mlp, _kernels(1.2)),
    'CNN': (_plain_cnn, _kernels(0.8)),
    'transformer': (_transformer, _kernels(3.0, 'query')),
    'RNN': (_recurrent, _kernels(0.9)),
  },
  'biases a bit off': {
    'MLP': (_mlp, _biases(-0.2, 'dense')),
    'CNN': (_cnn, _biases(-0.5, 'norm_0/bias')),
  },
  'a part that starts at zero': {
    'residual': (_residual, _filled(0.0, 'out')),
    'MLP': (_mlp, _filled(0.0, 'readout')),
    'encoder': (_encoder, _filled(0.0, 'down')),
  },
  'other data': {
    'MLP': (_mlp, _data(jax.nn.sigmoid)),
    'Equinox': (_equinox, _data(_one_hot)),
    'CNN': (_cnn, _data(jax.nn.sigmoid)),
  },
  'learning rate 0.01': {
    'MLP': (_mlp, _as_it_is, 1e-2),
    'transformer': (_transformer, _as_it_is, 1e-2),
  },
}
# By the verdict that is right; none for healthy models.
_FAULTS: dict[str, _Faults] = {
  'vanishing': _VANISHING,
  'exploding': _EXPLODING,
  'dead': _DEAD,
  'saturated': _SATURATED,
  'symmetric': _SYMMETRIC,
  'disconnected': _DISCONNECTED,
  'batch_norm_degenerate': _BATCH_NORM,
  'input_scale': _INPUT_SCALE,
  'underflow': _UNDERFLOW,
  'diverging_update': _UPDATE,
  'rank_collapse': _COLLAPSE,
  'shape_broadcast': _BROADCAST,
  'nonfinite': _NONFINITE,
  '': _HEALTHY,
}
