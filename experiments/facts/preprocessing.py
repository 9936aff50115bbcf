"""Preprocessing: what [0, 1] and per-sample mean removal remove and change.

Claim: mapping pixels to [0, 1] removes nothing but the scale: the input is as
badly conditioned as before, but a tanh network that raw pixels saturate learns.
Removing each image's own mean removes its brightness, and with it most of the
mean that all images share, so that the largest eigenvalue of the input falls,
and training gets faster at the best rate of each.

Source: LeCun, Bottou, Orr and Müller, 1998, "Efficient BackProp", section 4.3;
LeCun, Kanter and Solla, 1991 (eigenvalues of the input's second moment).

Rule: the ratio of the eigenvalues changes by at most 1% under [0, 1]; adding a
constant to every pixel of an image moves its [0, 1] form by at least 10% and
what the removal returns by at most 1e-5; the removal lowers the share of the
mean in the second moment by at least 0.25 and the largest eigenvalue by at
least a factor of 2; raw pixels saturate at least half of the first tanh layer,
[0, 1] at most a tenth; [0, 1] gains at least 5 points of test accuracy over raw
pixels; and the removal reaches a training loss of 1 in at most 0.8 of the steps
of [0, 1].
"""

from collections.abc import Sequence

from jaxdl import atlas
from jaxdl import laboratory
from jaxdl.data import conditioning
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_RAW, _UNIT, _REMOVED = 'raw', '[0, 1]', 'mean removed'
_PREPROCESSINGS = {_RAW: 'none', _UNIT: 'unit', _REMOVED: 'sample_mean'}
_BRIGHTER = 40  # Grey levels, added to every pixel.
_TARGET_LOSS = 1.0
_CURVE = 10  # Steps that a point of the curve averages.


def measure(
  num_seeds: int,
  *,
  num_images: int = 1000,
  depth: int = 5,
  width: int = 48,
  num_steps: int = 200,
  learning_rates: Sequence[float] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
) -> xr.Dataset:
  """Measures the input and the training under each preprocessing.

  Args:
    num_seeds: subsets of the images, and networks.
    num_images: of a subset.
    depth: of the tanh network.
    width: of the network.
    num_steps: of training.
    learning_rates: each preprocessing is reported at its best one.

  Returns:
    Over `preprocessing` and `seed`, of the input: `eigenvalue_ratio`,
    `largest_eigenvalue`, `mean_share` and `brightness_moved` (rms, over that of
    the input); of the network at its best rate: `saturated` (share of the first
    layer at the first step), `test_accuracy`, `steps_to_target` (infinite where
    not reached), and `loss` over `step`.
  """
  dataset = sources.load()
  found = {
    label: xr.merge(
      [
        _inputs(dataset, name, num_images, num_seeds),
        _training(
          preprocessing.preprocess(dataset, name),
          {'depth': [depth], 'width': [width], 'learning_rate': learning_rates},
          num_steps,
          num_seeds,
        ),
      ]
    )
    for label, name in _PREPROCESSINGS.items()
  }
  joined = xr.concat(list(found.values()), 'preprocessing')
  return joined.assign_coords(preprocessing=list(found))


def _inputs(
  dataset: sources.Dataset, name: str, num_images: int, num_seeds: int
) -> xr.Dataset:
  """Measures subsets of the training images."""
  rows = []
  for seed in range(num_seeds):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(dataset.train_images), num_images, replace=False)
    # Headroom for what is added: no pixel is cut off.
    images = dataset.train_images[chosen] // 2
    plain, brighter = (
      preprocessing.preprocess(
        dataset._replace(train_images=some, test_images=some[:1]), name
      ).train_images
      for some in (images, images + np.uint8(_BRIGHTER))
    )
    of = conditioning.conditioning(plain)
    rows.append(
      {
        'eigenvalue_ratio': conditioning.ratio(of.second_moment),
        'largest_eigenvalue': of.second_moment[0],
        'mean_share': of.mean_share,
        'brightness_moved': _rms(brighter - plain) / _rms(plain),
      }
    )
  return xr.Dataset(
    {name: ('seed', [row[name] for row in rows]) for name in rows[0]},
    {'seed': range(num_seeds)},
  )


def _training(dataset, axes, num_steps: int, num_seeds: int) -> xr.Dataset:
  """Trains tanh networks; returns them at their best rate."""
  record = laboratory.train(
    {
      'activation': ['tanh'],
      'init': ['glorot'],
      'batch_size': [64],
      'seed': range(num_seeds),
      **axes,
    },
    dataset,
    num_steps,
  )
  best = laboratory.at_best_rate(record, ())
  loss = best['loss']
  saturated = best['activation_saturated'].isel(step=0, layer=0, drop=True)
  return xr.Dataset(
    {
      'saturated': saturated,
      'test_accuracy': best['test_accuracy'],
      'steps_to_target': laboratory.steps_until(loss, _TARGET_LOSS),
      'loss': loss.coarsen(step=_CURVE, boundary='trim').mean(),
    }
  ).drop_vars('learning_rate', errors='ignore')


def _rms(x: np.ndarray) -> float:
  return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  of = lambda name, kind: data[name].sel(preprocessing=kind).values
  ratio = lambda name, kind, over: of(name, kind) / of(name, over)
  steps = (
    data['steps_to_target'].sel(preprocessing=kind, drop=True)
    for kind in (_REMOVED, _UNIT)
  )
  return [
    atlas.Claim(
      '[0, 1] leaves the conditioning as it is',
      'ratio of the eigenvalues of the input, over that of raw pixels',
      atlas.between(0.99, 1.01),
      {'': ratio('eigenvalue_ratio', _UNIT, _RAW)},
    ),
    atlas.Claim(
      'it keeps the brightness of an image',
      f'rms by which {_BRIGHTER} grey levels more move the input, relative',
      atlas.at_least(0.1),
      {'': of('brightness_moved', _UNIT)},
      every=True,
    ),
    atlas.Claim(
      "removing an image's own mean removes its brightness",
      f'rms by which {_BRIGHTER} grey levels more move the input, relative',
      atlas.at_most(1e-5),
      {'': of('brightness_moved', _REMOVED)},
      every=True,
    ),
    atlas.Claim(
      'it takes much of the mean that all images share',
      "fall of the mean's share in the second moment, against [0, 1]",
      atlas.at_least(0.25),
      {'': of('mean_share', _UNIT) - of('mean_share', _REMOVED)},
    ),
    atlas.Claim(
      'it lowers the largest eigenvalue, which bounds the rate',
      'largest eigenvalue of [0, 1] over that after the removal',
      atlas.at_least(2),
      {'': ratio('largest_eigenvalue', _UNIT, _REMOVED)},
    ),
    atlas.Claim(
      'raw pixels saturate tanh',
      'share of the first layer that is saturated at initialization',
      atlas.at_least(0.5),
      {'': of('saturated', _RAW)},
    ),
    atlas.Claim(
      '[0, 1] does not',
      'share of the first layer that is saturated at initialization',
      atlas.at_most(0.1),
      {'': of('saturated', _UNIT)},
    ),
    atlas.Claim(
      'a tanh network learns better from [0, 1] than from raw pixels',
      'test accuracy gained, points',
      atlas.at_least(5),
      {'': 100 * (of('test_accuracy', _UNIT) - of('test_accuracy', _RAW))},
    ),
    atlas.Claim(
      'removing the mean trains faster still',
      f'steps to a training loss of {_TARGET_LOSS:g}, over those of [0, 1]',
      atlas.at_most(0.8),
      {'': laboratory.times_as_many(*steps).values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the input's numbers, saturation, and training.

  Args:
    data: what `measure` returned.
  """
  kinds = list(_PREPROCESSINGS)
  places = np.arange(2)
  numbers = (
    data[['mean_share', 'saturated']]
    .to_array()
    .transpose('preprocessing', 'seed', 'variable')
  )
  loss = data['loss'].transpose('preprocessing', 'seed', 'step')
  return panels.draw(
    [
      panels.Panel(
        'Before training',
        '',
        'share',
        {
          kind: panels.over_seeds(
            places, numbers.sel(preprocessing=kind).values
          )
          for kind in kinds
        },
        marked=True,
        ticks=('mean in the\nsecond moment', 'saturated\nin layer 1'),
      ),
      panels.Panel(
        'Training, each at its best rate',
        'step',
        'training loss',
        {
          kind: panels.over_seeds(
            loss['step'].values, loss.sel(preprocessing=kind).values
          )
          for kind in kinds
        },
        log_y=True,
      ),
    ],
    kinds,
  )


FACT = atlas.Fact(
  formulas=(
    r'\mathbf{x} \to \mathbf{x} / 255',
    r'\mathbf{x} \to \mathbf{x} - \frac{1}{n} \sum_{i=1}^{n} x_i',
    r'\lambda_{\max}(\mathrm{E}[\mathbf{x} \mathbf{x}^T])',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
