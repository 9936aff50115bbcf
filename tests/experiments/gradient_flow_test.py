"""Tests for `experiments/gradient_flow.py`, as its users and abusers run it."""

import json
import os
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import chex
from jaxdl import sweep
import numpy as np

from tests.experiments import study

_NO_DATA = '--data=no_such.npz'
_REPORT = (
  'report.html',
  'summary.csv',
  *(
    f'{name}{suffix}'
    for name in (
      'gradient_profile',
      'activation_profile',
      'training_curves',
      'overview',
    )
    for suffix in ('.png', '.svg')
  ),
)


class MistakesTest(study.Study):
  # The data do not exist: so each is found before data are read.
  @parameterized.named_parameters(
    ('activation', '--activation=relux', "'relux'", "mean 'relu'"),
    ('second_activation', '--activation=relu,foo', "'foo'", 'softsign'),
    ('activation_number', '--activation=leaky_relu:x', 'leaky_relu:SLOPE'),
    ('needless_number', '--activation=relu:1', 'takes no number'),
    ('norm', '--norm=bath', "'bath'", 'none, batch, batch_plain, layer'),
    (
      'shortcut',
      '--shortcut=skip',
      "'skip'",
      'none, identity, highway; or own',
    ),
    ('model', '--model=vit', "'vit'", 'mlp, cnn'),
    ('optimizer', '--optimizer=sgdd', "'sgdd'", 'adagrad', "mean 'sgd'"),
    ('init', '--init=xavier', "'xavier'", 'glorot, he, lecun, orthogonal'),
    ('preprocessing', '--preprocessing=foo', 'foo', 'feature_standard'),
    ('arrangement', '--arrangement=foo', 'foo', 'auto|map|vmap|loop'),
    ('clip', '--clip=bogus:1', "'bogus'", 'none, norm, value, adaptive'),
    ('clip_bare', '--clip=norm', "'norm' lacks a number", 'norm:1.0'),
    ('clip_word', '--clip=norm:x', "'x' is not a finite number"),
    ('clip_negative', '--clip=norm:-1', 'must be positive'),
    ('clip_nan', '--clip=value:nan', "'nan' is not a finite number"),
    ('depth_negative', '--depth=-3', 'depth is -3', 'from 1'),
    ('depth_zero', '--depth=2,0', 'depth is 0', 'from 1'),
    ('depth_fraction', '--depth=2.5', '--depth=2.5: give integers'),
    ('width_huge', '--width=99999999999', 'from 1 to 1000000'),
    ('rate_nan', '--learning_rate=nan', 'learning_rate', 'nan'),
    ('rate_negative', '--learning_rate=-1', 'learning_rate is -1.0'),
    ('rate_word', '--learning_rate=x', '--learning_rate=x: give numbers'),
    ('decay_infinite', '--weight_decay=inf', 'weight_decay is inf'),
    ('empty', '--activation=', '--activation is empty'),
    ('empty_numbers', '--depth=', '--depth is empty'),
    ('comma', '--norm=none,', '--norm=none, has a comma too many'),
    ('twice', '--activation=relu,relu', "'relu' twice"),
    ('twice_as_number', '--learning_rate=0.1,0.10', '0.1 twice'),
    ('no_seeds', '--num_seeds=0', '--num_seeds=0', '[1, 10000]'),
    ('many_seeds', f'--num_seeds={10**12}', '--num_seeds=1', '10000]'),
    ('no_steps', '--num_steps=0', '--num_steps=0', '[1, 10000000]'),
    ('many_steps', f'--num_steps={2**31}', '--num_steps=2', '10000000]'),
    ('mesh', '--mesh=rows:2', "mesh 'rows:2'", 'cells:4,data:2'),
    ('devices', '--mesh=cells:99', 'takes 99 devices, and there are 2'),
    ('processes', '--num_processes=2', '--num_processes needs the other two'),
    (
      'ray_and_others',
      '--ray=local --distributed',
      '--ray starts the processes',
    ),
    ('no_batch', '--batch_size=0', 'batch_size is 0', 'from 1'),
    ('two_scales', '--weight_std=1 --init=he', "weight_std 'he'", 'orthogonal'),
    ('resume_nothing', '--resume', '--resume needs --out'),
    ('resume_overwrite', '--resume --overwrite --out=o', 'exclude each other'),
    ('unwritable', '--out=/dev/null/o', '/dev/null', 'another --out'),
    ('unknown_flag', '--activations=relu', "'activations'", '--help'),
    ('no_data', '--depth=3', "'no_such.npz'", 'fashion_mnist_small', 'digits'),
  )
  def test_flag_is_refused_before_anything_is_read(self, flags, *parts):
    done = self.run_study(_NO_DATA, *flags.split())
    self.assert_mistake(done, *parts)
    self.assertEqual(done.stdout, '')
    self.assertEmpty(os.listdir(self.folder))

  @parameterized.parameters('8,20000', '20000')
  def test_batch_that_is_larger_than_the_data(self, sizes):
    done = self.run_study(f'--batch_size={sizes}', '--out=out')
    self.assert_mistake(done, '20000', 'from 1 to 10000')
    self.assertEmpty(os.listdir(self.folder))

  def test_foreign_folder_and_file_are_left_alone(self):
    self.out.mkdir()
    (self.out / 'thesis.tex').write_text('years of work')
    for flags in ([], ['--overwrite'], ['--resume']):
      done = self.run_study(_NO_DATA, '--out=out', *flags)
      self.assert_mistake(done, 'files that are no sweep', 'another --out')
    done = self.run_study(_NO_DATA, '--out=out/thesis.tex', '--overwrite')
    self.assert_mistake(done, 'thesis.tex is not a directory')
    self.assertEqual(os.listdir(self.out), ['thesis.tex'])
    self.assertEqual((self.out / 'thesis.tex').read_text(), 'years of work')

  def test_damaged_data(self):
    rng = np.random.default_rng(0)
    path = self.folder / 'mine.npz'
    np.savez(path, **_arrays(rng))
    path.write_bytes(path.read_bytes()[:-100])
    done = self.run_study('--data=mine.npz', '--out=out')
    self.assert_mistake(done, 'mine.npz: not a .npz file', 'or damaged')
    self.assertFalse(self.out.exists())


def _arrays(rng):
  """Returns the arrays of a small data set."""
  return {
    f'{split}_{part}': rng.integers(0, high, (40, *shape), np.uint8)
    for split in ('train', 'test')
    for part, shape, high in (('images', (6, 5), 256), ('labels', (), 3))
  }


class StudyTest(study.Study):
  def test_report_record_and_lines(self):
    printed = self.succeed('--activation=relu,tanh', '--learning_rate=0.01,0.1')
    self.assertNotIn('\x1b', printed)
    self.assertNotIn('\r', printed)
    lines = printed.splitlines()
    self.assertEqual(
      lines[0],
      '4 networks in 2 programs on 2 cpu devices; 4 steps on '
      'fashion_mnist_small (10,000 images)',
    )
    self.assertStartsWith(lines[1], 'programs ')
    last = [line for line in lines if line.startswith('programs ')][-1]
    self.assertIn('programs 2/2 · steps 16/16', last)
    self.assertStartsWith(lines[-1], 'Report: out/report.html')
    for name in _REPORT:
      self.assertGreater((self.out / name).stat().st_size, 200, name)
    table = (self.out / 'summary.csv').read_text().splitlines()
    self.assertLen(table, 1 + 4)

    record = sweep.open_record(self.out)
    self.assertEqual(
      json.loads(record.attrs['axes']), ['activation', 'learning_rate']
    )
    chosen = record.sel(activation='tanh', learning_rate=0.1)
    self.assertTrue(np.all(np.isfinite(chosen.loss.values)))
    self.assertEqual(record.steps_done.values.tolist(), 4 * [4])

    done = self.run_study(_NO_DATA, '--out=out')
    self.assert_mistake(done, '--resume', '--overwrite', 'another --out')
    done = self.run_study('--num_steps=6', '--out=out', '--resume')
    self.assert_mistake(done, 'num_steps was 4, is 6')

  def test_finished_study_is_only_reported_again(self):
    self.succeed()
    before = study.values(self.out)
    (self.out / 'report.html').unlink()
    printed = self.succeed('--resume')
    self.assertNotIn('programs ', printed.split('\n', 1)[1])
    self.assertTrue((self.out / 'report.html').exists())
    chex.assert_trees_all_equal(study.values(self.out), before)

    chunk = max((self.out / 'record.zarr' / 'loss').glob('[0-9]*'))
    content = chunk.read_bytes()
    chunk.write_bytes(content[: len(content) // 2])
    done = self.run_study('--out=out', '--resume')
    self.assert_mistake(done, str(chunk.name), 'is damaged', 'run the sweep')

    shutil.rmtree(self.out / 'record.zarr')  # Then it begins anew.
    self.succeed('--resume')
    chex.assert_trees_all_equal(study.values(self.out), before)

  def test_depths_and_batch_sizes_of_different_programs(self):
    self.succeed('--depth=1,3', '--batch_size=8,16', '--weight_std=0.5,1.5')
    record = sweep.open_record(self.out).load()
    shallow = record.sel(depth=1).gradient_norm.values
    self.assertTrue(np.all(np.isfinite(shallow[..., :2])))
    self.assertTrue(np.all(np.isnan(shallow[..., 2:])))
    deep = record.sel(depth=3).gradient_norm.values
    self.assertEqual(deep.shape, (4, 4, 4))
    self.assertTrue(np.all(np.isfinite(deep)))
    first = record.activation_rms.isel(step=0, layer=0)
    ratio = first.sel(weight_std=1.5).values / first.sel(weight_std=0.5).values
    np.testing.assert_allclose(ratio, 3, rtol=1e-4)

  def test_convolutions(self):
    self.succeed('--model=cnn', '--width=4', '--depth=3')
    self.assertTrue(
      np.all(np.isfinite(study.values(self.out)['gradient_norm']))
    )

  def test_arrangements_give_the_same_record(self):
    for arrangement in ('map', 'vmap', 'loop'):
      self.succeed(
        f'--arrangement={arrangement}',
        '--clip=none,norm:1.0',
        '--num_seeds=2',
        out=arrangement,
      )
    expected = study.values(self.folder / 'map')
    for arrangement in ('vmap', 'loop'):
      chex.assert_trees_all_close(
        study.values(self.folder / arrangement), expected, rtol=1e-3, atol=1e-5
      )

  def test_optimization_by_the_compiler_changes_rounding_alone(self):
    """As users run it: the other tests do not optimize."""
    flags = '--activation=tanh', '--norm=batch', '--clip=norm:1.0'
    self.succeed(*flags, out='plain')
    self.succeed(
      *flags, out='optimized', XLA_FLAGS='', JAX_DISABLE_MOST_OPTIMIZATIONS='0'
    )
    chex.assert_trees_all_close(
      study.values(self.folder / 'optimized'),
      study.values(self.folder / 'plain'),
      rtol=1e-3,
      atol=1e-5,
    )

  def test_data_of_ones_own_from_both_formats(self):
    arrays = _arrays(np.random.default_rng(0))
    np.savez_compressed(self.folder / 'mine.npz', **arrays)
    (self.folder / 'idx').mkdir()
    for prefix, split in (('train', 'train'), ('t10k', 'test')):
      for kind, part in (('idx3', 'images'), ('idx1', 'labels')):
        array = arrays[f'{split}_{part}']
        header = bytes([0, 0, 8, array.ndim])
        sizes = b''.join(size.to_bytes(4, 'big') for size in array.shape)
        path = self.folder / 'idx' / f'{prefix}-{part}-{kind}-ubyte'
        path.write_bytes(header + sizes + array.tobytes())
    printed = self.succeed('--data=mine.npz', out='a')
    self.assertIn('4 steps on mine.npz (40 images)', printed)
    self.succeed('--data=idx', out='b')
    chex.assert_trees_all_equal(
      study.values(self.folder / 'a'), study.values(self.folder / 'b')
    )

  @parameterized.parameters('map', 'vmap')
  def test_diverging_cell_disturbs_no_other(self, arrangement):
    for out, other in (('sane', '0.02'), ('mad', '1e6')):
      self.succeed(
        f'--learning_rate={other},0.01',
        '--num_steps=8',
        f'--arrangement={arrangement}',
        out=out,
        JAX_NUM_CPU_DEVICES='1',
      )
    sane, mad = (
      study.values(self.folder / 'sane'),
      study.values(self.folder / 'mad'),
    )
    self.assertTrue(np.isnan(mad['loss'][0, -1]))
    self.assertEqual(mad['steps_done'][0], 8)
    chex.assert_trees_all_equal(
      {name: values[1] for name, values in mad.items()},
      {name: values[1] for name, values in sane.items()},
    )


if __name__ == '__main__':
  absltest.main()
