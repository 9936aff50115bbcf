"""The architectures by name, and what may be chosen of each.

  net = models.build('resnet20', num_classes=10, in_shape=(32, 32, 3))

builds one as published; `architecture` says what that is, and what else it can
be. To add one, write its row.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

import jax
from jaxdl import activations
from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import alexnet
from jaxdl.models import cnn
from jaxdl.models import googlenet
from jaxdl.models import highway
from jaxdl.models import mlp
from jaxdl.models import nin
from jaxdl.models import options as options_lib
from jaxdl.models import resnet
from jaxdl.models import stack
from jaxdl.models import vgg


class Architecture(NamedTuple):
  """A row of the table of architectures.

  Attributes:
    builder: makes it from `num_classes`, `activation` (a layer), `norm`,
      `weight_init`, `bias_init`, the options and, where there are several, the
      shortcut.
    norm: its own normalization.
    norms: those it can have.
    shortcut: its own shortcut.
    shortcuts: those it can have.
    in_shape: `[height, width, channels]` that it was published for.
    num_classes: as published.
    options: what else can be chosen, with its own values.
  """

  builder: Callable[..., base.Layer]
  norm: str
  norms: tuple[str, ...]
  shortcut: str
  shortcuts: tuple[str, ...]
  in_shape: tuple[int, int, int]
  num_classes: int
  options: Mapping[str, Any]


_MNIST = ((28, 28, 1), 10)
_CIFAR10 = ((32, 32, 3), 10)
_IMAGENET = ((224, 224, 3), 1000)

# The shortcuts that each of these options belongs to.
_OF_SHORTCUTS = {
  'residual_scale': ('identity', 'projection'),
  'shortcut_scale': ('identity', 'projection'),
  'gate_bias': ('highway',),
}


def names() -> tuple[str, ...]:
  """Returns the names of all architectures."""
  return tuple(_TABLE)


def architecture(name: str) -> Architecture:
  """Returns the row of an architecture.

  Raises:
    ValueError: if there is none of that name.
  """
  return choice.choose('architecture', str(name), _TABLE)


def build(
  name: str, *, in_shape: base.Shape, num_classes: int, **choices: Any
) -> base.Layer:
  """Builds an architecture by its name, from images to logits.

  Args:
    name: one of `names()`.
    in_shape: of one image, a tuple or list; what cannot take it is refused
      here, before any memory is allocated.
    num_classes: number of logits.
    **choices: what else `assemble` takes: activation, norm, shortcut,
      initializers and options.

  Returns:
    A chain of units.

  Raises:
    ValueError: as `assemble` does, or if the images are too small for it.
  """
  net = assemble(name, num_classes=num_classes, **choices)
  _check_in_shape(name, net, options_lib.read(name, 'in_shape', in_shape))
  return net


def assemble(
  name: str,
  *,
  num_classes: int,
  activation: str | base.Layer | Callable[[Any], Any] = 'relu',
  norm: str | None = None,
  shortcut: str | None = None,
  weight_init: str | initializers.Initializer | None = None,
  bias_init: str | initializers.Initializer | None = None,
  **options: Any,
) -> base.Layer:
  """Builds an architecture for images whose shape is not known yet.

  Args:
    name: one of `names()`.
    num_classes: number of logits.
    activation: of all layers: a name, with numbers as in `leaky_relu:0.2`, a
      function, or a layer.
    norm: of all layers; the architecture's own by default.
    shortcut: of all blocks; the architecture's own by default.
    weight_init: of the weights: a name of `initializers.names()`, or a function
      of key and shape; the builder's own by default.
    bias_init: of the biases: 'zeros' or such a function; the builder's own by
      default.
    **options: those of `architecture(name).options`; numbers such as
      `residual_scale` may be traced.

  Returns:
    A chain of units.

  Raises:
    ValueError: if a name is unknown, or the architecture has no such choice or
      option, or a value is of the wrong type or out of range.
  """
  row = architecture(name)
  read = functools.partial(options_lib.read, name)
  norm = chosen(name, 'norm', norm)
  shortcut = chosen(name, 'shortcut', shortcut)
  _check_options(name, row, shortcut, options)
  toggles = {'shortcut': shortcut} if len(row.shortcuts) > 1 else {}
  given = {
    option: read(option, value, optional=row.options[option] is None)
    for option, value in options.items()
  }
  return row.builder(
    num_classes=read('num_classes', num_classes),
    activation=_activation(read('activation', activation)),
    norm=norm,
    weight_init=read('weight_init', weight_init, optional=True),
    bias_init=read('bias_init', bias_init, optional=True),
    **toggles,
    **{**row.options, **given},
  )


def chosen(name: str, toggle: str, value: str | None) -> str:
  """Returns what an architecture has as its normalization or its shortcut.

  Args:
    name: of the architecture.
    toggle: 'norm' or 'shortcut'.
    value: what is asked for; None means the architecture's own.

  Raises:
    ValueError: if a name is unknown, or the value has no meaning in this
      architecture; lists those that have.
  """
  row = architecture(name)
  toggles = {
    'norm': (row.norm, row.norms),
    'shortcut': (row.shortcut, row.shortcuts),
  }
  own, possible = choice.choose('toggle', toggle, toggles)
  if value is None or value in possible:
    return own if value is None else value
  has_none = possible == ('none',)
  subject = f'{name} has no {toggle}s: {toggle}'
  raise ValueError(
    f'{subject if has_none else f"{toggle} of {name}"} is {value!r}; '
    f'possible: {", ".join(possible)}'
  )


def _check_options(
  name: str, row: Architecture, shortcut: str, options: Mapping[str, Any]
) -> None:
  fixed = getattr(row.builder, 'keywords', {})
  for option in options:
    belongs_to = _OF_SHORTCUTS.get(option, (shortcut,))
    if shortcut not in belongs_to:
      possible = ', '.join(s for s in belongs_to if s in row.shortcuts)
      raise ValueError(
        f'{option} has no meaning in {name} with shortcut {shortcut!r}; it '
        f'belongs to: {possible or "other architectures"}'
      )
    if option in fixed:
      article = 'an' if option[0] in 'aeio' else 'a'
      raise ValueError(
        f'{name} has {article} {option} of its own, {fixed[option]!r}: leave '
        f'it out; options: {", ".join(row.options)}'
      )
    choice.choose(f'option of {name}', option, row.options)


def _activation(
  activation: str | base.Layer | Callable[[Any], Any],
) -> base.Layer:
  if isinstance(activation, base.Layer):
    return activation
  if not isinstance(activation, str):
    return layers.activation(activation)
  described = activations.get(choice.split_name(activation))
  parsed = choice.parse('activation', activation, described.hyperparameters)
  numbers: dict[str, Any] = {**parsed.numbers}
  return layers.activation(parsed.name, **numbers)


def _check_in_shape(name: str, net: base.Layer, in_shape: base.Shape) -> None:
  """Runs `init` on shapes alone, which allocates nothing."""
  try:
    if min(in_shape, default=0) < 1:
      raise ValueError('each size must be at least 1.')
    jax.eval_shape(lambda key: net.init(key, in_shape)[1:], jax.random.key(0))
  except ValueError as error:
    raise ValueError(
      f'{name} cannot take inputs of shape {tuple(in_shape)}: {error}'
    ) from None


def _stacks() -> dict[str, Architecture]:
  """The stacks; they have a depth and a width by default alone."""
  sizes = {'depth': 30, 'width': 128, 'use_bias': True, 'rematerialize': False}
  scales = {'residual_scale': 1.0, 'shortcut_scale': 1.0, 'gate_bias': -2.0}
  free = ('none', stack.NORMS, 'none', stack.SHORTCUTS)
  gated = ('none', stack.NORMS, 'highway', ('highway',))
  thin = {'depth': 50, 'width': 50, 'use_bias': True, 'gate_bias': -2.0}
  return {
    'mlp': Architecture(mlp.mlp, *free, *_MNIST, {**sizes, **scales}),
    'cnn': Architecture(
      cnn.cnn,
      *free,
      *_CIFAR10,
      {**sizes, **scales, 'kernel_size': 3, 'stem_strides': 1},
    ),
    'highway': Architecture(highway.highway, *gated, *_MNIST, thin),
    'highway_cnn': Architecture(
      highway.highway_cnn,
      *gated,
      *_CIFAR10,
      {**thin, 'depth': 19, 'width': 32, 'stem_strides': 1},
    ),
  }


def _sequential_networks() -> dict[str, Architecture]:
  """Those before the ResNet: they have no shortcuts."""
  plain = ('none', stack.NORMS, 'none', ('none',))
  form = {'stem_padding': None, 'local_response': None, 'dropout_rate': 0.5}
  alex = Architecture(alexnet.alexnet, *plain, *_IMAGENET, form)
  form = {'dropout_rate': None, 'use_bias': True}
  vgg_row = Architecture(vgg.vgg, *plain, *_IMAGENET, form)
  vgg_imagenet = _with(vgg_row, form='imagenet', width=64)
  vgg_cifar = _with(vgg_row, form='cifar', width=64)._replace(
    in_shape=_CIFAR10[0], num_classes=_CIFAR10[1]
  )
  nin_row = Architecture(nin.nin, *plain, *_IMAGENET, {'dropout_rate': 0.5})
  form = {
    'wide_kernel_size': 5,
    'local_response': None,
    'auxiliary': False,
    'dropout_rate': 0.4,
    'auxiliary_dropout_rate': 0.7,
  }
  google = Architecture(googlenet.googlenet, *plain, *_IMAGENET, form)
  return {
    'alexnet': _with(alex, groups=1),
    'alexnet_grouped': _with(alex, groups=2)._replace(in_shape=(227, 227, 3)),
    **{f'vgg{n}': _with(vgg_imagenet, depth=n) for n in vgg.DEPTHS},
    **{f'vgg{n}_cifar': _with(vgg_cifar, depth=n) for n in vgg.DEPTHS},
    'nin_imagenet': _with(nin_row, form='imagenet'),
    'nin_cifar10': _with(nin_row, form='cifar')._replace(
      in_shape=_CIFAR10[0], num_classes=_CIFAR10[1]
    ),
    'googlenet': google,
    'googlenet_auxiliary': _with(google, auxiliary=True),
  }


def _residual_networks() -> dict[str, Architecture]:
  """ResNets, preactivated and plain ones; the forms for ImageNet and CIFAR."""
  scales = {'residual_scale': 1.0, 'shortcut_scale': 1.0}
  options = {**scales, 'preactivation': False}
  bottleneck = Architecture(
    resnet.resnet,
    *('batch', stack.NORMS, 'projection', resnet.SHORTCUTS),
    *_IMAGENET,
    {**options, 'stem_width': 64, 'stride_in_1x1': False},
  )
  basic = _with(bottleneck, stride_in_1x1=False)
  cifar = Architecture(
    resnet.resnet_cifar,
    *('batch', stack.NORMS, 'identity', resnet.SHORTCUTS),
    *_CIFAR10,
    {**options, 'stem_width': 16},
  )
  rows = {
    **dict.fromkeys((18, 34), basic),
    **dict.fromkeys((50, 101, 152), bottleneck),
    **dict.fromkeys((20, 32, 44, 56, 110, 1202), cifar),
  }
  return {
    **{f'resnet{n}': _with(row, depth=n) for n, row in rows.items()},
    **{
      f'preresnet{n}': _with(row, depth=n, preactivation=True)
      for n, row in rows.items()
    },
    **{
      f'plain{n}': _without_shortcuts(_with(rows[n], depth=n))
      for n in (18, 34, 20, 32, 44, 56, 110)
    },
  }


def _with(row: Architecture, **options: Any) -> Architecture:
  """A row of which some options are chosen already."""
  free = {k: v for k, v in row.options.items() if k not in options}
  builder = functools.partial(row.builder, **options)
  return row._replace(builder=builder, options=free)


def _without_shortcuts(row: Architecture) -> Architecture:
  """The plain network of the same layers."""
  scales = {'residual_scale': 1.0, 'shortcut_scale': 1.0}
  plain = _with(row, shortcut='none', **scales)
  return plain._replace(shortcut='none', shortcuts=('none',))


_TABLE = {**_stacks(), **_sequential_networks(), **_residual_networks()}
