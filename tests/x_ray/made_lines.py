"""Lines as those of an examination, of which all numbers are known."""

from jaxdl.x_ray import lines


def value(name, **numbers):
  """A value of a module, with numbers as those of a healthy model."""
  healthy = {
    'shape': (32, 16),
    'dtype': 'float32',
    'is_cut': True,
    'forward_mean': 0.0,
    'forward_rms': 1.0,
    'forward_std': 1.0,
    'forward_max_abs': 3.0,
    'dead': 0.0,
    'backward_rms': 1e-3,
    'backward_max_abs': 3e-3,
    'nonfinite': 0.0,
    'decades': 0.0,
  }
  return lines.Line(name, 'value', **{**healthy, **numbers})


def stack(depth, **numbers):
  """A scan of dense layers with parameters that all iterations share."""
  return [
    line
    for i in range(depth)
    for line in (
      value(
        f'blocks/dense[{i}]',
        parameters=('blocks/kernel',),
        parameter_norm=4.0,
        gradient_norm=0.5,
        is_repeated=i > 0,
        **numbers,
      ),
      value(f'blocks/relu[{i}]', activation='relu', **numbers),
    )
  ]
