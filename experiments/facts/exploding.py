"""Exploding gradients: what clipping cures, and what it does not.

Claim: where large weights make the gradient explode, in time or in depth, a
network does not learn; clipped by value or by norm, it does. Clipping cures no
vanishing gradient, nor the weights; where it always binds, it is a step size.
Gated cells keep through time the gradient that a plain recurrent network loses.

Source: Pascanu, Mikolov and Bengio, 2013 (clipping, recurrent networks);
Hochreiter and Schmidhuber, 1997 (the adding and the temporal-order problem,
LSTM); Cho et al., 2014 (GRU).

Rule: a recurrent network learns a problem if its test loss is at most half of
chance, and does not if it is at least nine tenths; a clip leads if it takes off
a quarter of chance more. A deep network is trained by a clip if that adds 20
points of test accuracy, and does not train up to 15%; weights are not made up
for if well-scaled ones are at least 5 points better; a clip is harmless if it
costs at most 2 points. Over 50 time steps dz/dh_t vanishes if it loses 4
decades, explodes if it gains 4, comes through if it neither loses nor gains
more than 1 (of an LSTM, dz/dc_t); a clip cures that not if it saves at most 1.
Eight times the rate at an eighth of the threshold gives the same losses to
1e-6.
"""

from experiments.facts import _clipped_networks as networks
from jaxdl import atlas
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  return [*_of_learning(data), *_of_depth(data), *_of_time(data)]


def _of_learning(data: xr.Dataset) -> list[atlas.Claim]:
  share, best = data['share'], data['best_share']
  unclipped = share.sel(clip=networks.NONE)
  saved = data['small_decades'].sel(small_clip=networks.NONE) - data[
    'small_decades'
  ].sel(small_clip=networks.NORM)
  ahead = best.sel(clip=networks.NONE) - best.sel(clip=networks.NORM)
  return [
    atlas.Claim(
      'large recurrent weights do not learn without a clip',
      'test loss, as a share of chance',
      atlas.at_least(0.9),
      {
        f'{p}, rate {rate:g}': unclipped.sel(problem=p, rate=rate).values
        for p in networks.PROBLEMS
        for rate in unclipped['rate'].values
      },
    ),
    atlas.Claim(
      'clipped, they learn',
      'test loss at the best rate, as a share of chance',
      atlas.at_most(0.5),
      {
        f'{p}, {clip}': best.sel(problem=p, clip=clip).values
        for p in networks.PROBLEMS
        for clip in networks.CLIPS
        if clip != networks.NONE
      },
    ),
    atlas.Claim(
      'a clip by norm leads also where each has its best rate',
      'share of chance that it takes off more',
      atlas.at_least(0.25),
      {p: ahead.sel(problem=p).values for p in networks.PROBLEMS},
    ),
    atlas.Claim(
      'small recurrent weights, whose gradient vanishes, do not learn, clipped '
      'or not',
      'test loss at the best rate, as a share of chance',
      atlas.at_least(0.9),
      {
        f'{p}, {clip}': data['small_share']
        .sel(problem=p, small_clip=clip)
        .values
        for p in networks.PROBLEMS
        for clip in (networks.NONE, networks.NORM)
      },
    ),
    atlas.Claim(
      'nor do early time steps get more of their gradient by a clip',
      'decades of dz/dh_t that a clip saves',
      atlas.at_most(1),
      {p: saved.sel(problem=p).values for p in networks.PROBLEMS},
    ),
    atlas.Claim(
      'a clip that always binds is a step size: eight times the rate at an '
      'eighth of the threshold is the same training',
      'relative difference of the losses, the largest of all steps',
      atlas.at_most(1e-6),
      {
        p: data['pair_difference'].sel(problem=p).values
        for p in networks.PROBLEMS
      },
      every=True,
    ),
  ]


def _of_depth(data: xr.Dataset) -> list[atlas.Claim]:
  points, best = 100 * data['accuracy'], 100 * data['best_accuracy']
  scaled = 100 * data['scaled_accuracy']
  best_scaled = 100 * data['best_scaled_accuracy'].sel(
    scaled_clip=networks.NONE
  )
  clips = (networks.NORM, networks.VALUE)
  gained = points - points.sel(deep_clip=networks.NONE)
  best_gained = best - best.sel(deep_clip=networks.NONE)
  cost = scaled.sel(scaled_clip=networks.NONE) - scaled.sel(
    scaled_clip=networks.NORM
  )
  at_common_rate = {
    f'{clip}, both at rate {rate:g}': gained.sel(
      deep_clip=clip, deep_rate=rate
    ).values
    for clip, rate in zip(
      clips, (networks.DEEP_RATES[2], networks.DEEP_RATES[1]), strict=True
    )
  }
  return [
    atlas.Claim(
      'a deep network of large weights does not train without a clip',
      'test accuracy, %',
      atlas.at_most(15),
      {
        f'rate {rate:g}': points.sel(
          deep_clip=networks.NONE, deep_rate=rate
        ).values
        for rate in points['deep_rate'].values
      },
    ),
    atlas.Claim(
      'clipped, it does',
      'test accuracy gained, points',
      atlas.at_least(20),
      {
        **at_common_rate,
        **{
          f'{clip}, each at its best rate': best_gained.sel(
            deep_clip=clip
          ).values
          for clip in clips
        },
      },
    ),
    atlas.Claim(
      'a clip does not make up for the weights',
      'test accuracy that well-scaled ones have more, unclipped, points',
      atlas.at_least(5),
      {clip: (best_scaled - best.sel(deep_clip=clip)).values for clip in clips},
    ),
    atlas.Claim(
      'where nothing explodes, a clip by norm does no harm',
      'test accuracy lost at the same rate, points',
      atlas.at_most(2),
      {
        f'rate {rate:g}': cost.sel(scaled_rate=rate).values
        for rate in cost['scaled_rate'].values
      },
    ),
  ]


def _of_time(data: xr.Dataset) -> list[atlas.Claim]:
  logs = data['log_cotangent']
  lost = logs.isel(time=-1) - logs.isel(time=0)
  return [
    atlas.Claim(
      'through time dz/dh_t vanishes in a plain network of small weights',
      'decades lost over 50 steps',
      atlas.at_least(4),
      {'': lost.sel(cell=networks.SMALL_CELL).values},
    ),
    atlas.Claim(
      'and explodes in one of large weights',
      'decades gained over 50 steps',
      atlas.at_least(4),
      {'': -lost.sel(cell=networks.LARGE_CELL).values},
    ),
    atlas.Claim(
      'in a gated cell it comes through',
      'decades lost over 50 steps, before training; of an LSTM of dz/dc_t',
      atlas.between(-1, 1),
      {name: lost.sel(cell=name).values for name in networks.GATED},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws dz/dh_t over time, losses over clips, and accuracies over rates.

  Args:
    data: what `measure` returned.
  """
  logs = data['log_cotangent']
  relative = (logs - logs.isel(time=-1)).transpose('cell', 'seed', 'time')
  through_time = panels.Panel(
    'Recurrent, before training',
    'time step t',
    'log10 of dz/dh_t over dz/dh_T',
    {
      name: panels.over_seeds(
        logs['time'].values, relative.sel(cell=name).values
      )
      for name in networks.CELLS
    },
    whole_x=True,
  )
  share = data['share'].transpose('problem', 'rate', 'seed', 'clip')
  learned = {
    f'{p}, rate {rate:g}': panels.over_seeds(
      np.arange(len(networks.CLIPS)), share.sel(problem=p, rate=rate).values
    )
    for p in networks.PROBLEMS
    for rate in share['rate'].values
  }
  accuracy = data['accuracy'].transpose('deep_clip', 'seed', 'deep_rate')
  deep = {
    f'deep, {clip}': panels.over_seeds(
      accuracy['deep_rate'].values, accuracy.sel(deep_clip=clip).values
    )
    for clip in accuracy['deep_clip'].values
  }
  return panels.draw(
    [
      through_time,
      panels.Panel(
        'Recurrent, large weights',
        '',
        'test loss, share of chance',
        learned,
        log_y=True,
        marked=True,
        ticks=list(networks.CLIPS),
      ),
      panels.Panel(
        'Deep, large weights',
        'learning rate',
        'test accuracy',
        deep,
        log_x=True,
        marked=True,
      ),
    ],
    [*networks.CELLS, *learned, *deep],
  )


FACT = atlas.Fact(
  formulas=(
    r'g \leftarrow g \, \min\left(1, \frac{V}{\Vert g \Vert}\right)',
    r'g_j \leftarrow \min(\max(g_j, -V), V)',
    r'\frac{\partial z}{\partial h_t} = \frac{\partial z}{\partial h_T} '
    r'\prod_{s=t+1}^{T} \frac{\partial h_s}{\partial h_{s-1}}',
  ),
  measure=networks.measure,
  claims=claims,
  draw=draw,
)
