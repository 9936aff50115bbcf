"""Tests for `x_ray/recording.py`."""

import functools
import json
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl.x_ray import dataset
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
from jaxdl.x_ray import recording
import numpy as np
import xarray as xr

from tests import damage

_DEAD = finding.Finding('dead', 'hidden', 'all of it', ())


@functools.cache
def _examined(width=4):
  def loss(params, x):
    with jax.named_scope('hidden'):
      x = jax.nn.relu(x @ params['hidden'])
    with jax.named_scope('readout'):
      return jnp.mean((x @ params['readout']) ** 2)

  params = {'hidden': jnp.ones((3, width)), 'readout': jnp.ones((width, 2))}
  x = jnp.asarray(np.random.RandomState(0).randn(5, 3), jnp.float32)
  subject = examination.subject(loss, params, (x,), False)
  return examination.examine(subject)


class RecordTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(self.create_tempdir().full_path) / 'record'

  def _record(self, examined=None):
    return recording.Record(self.path, examined or _examined())

  def _written(self):
    with xr.open_zarr(self.path) as record:
      return record.load()

  def _write(self, *steps):
    record = self._record()
    for step in steps:
      record.append(step, _examined()._replace(loss=float(step)), ())
    record.close()

  def test_holds_what_was_measured(self):
    record = self._record()
    record.append(0, _examined(), ())
    record.append(
      100, _examined(), (_DEAD, _DEAD._replace(verdict='saturated'))
    )
    record.close()
    written = self._written()
    self.assertEqual(
      dict(written.sizes), {'step': 2, 'module': 2, 'parameter': 2}
    )
    self.assertEqual(written.verdicts.values.tolist(), ['', 'dead,saturated'])
    (row,) = (r for r in _examined().rows if r.name == 'readout')
    there = written.sel(step=100, module='readout')
    np.testing.assert_allclose(there.activation_rms, row.forward.rms)
    np.testing.assert_allclose(there.cotangent_rms, row.backward.rms)
    np.testing.assert_allclose(
      written.gradient_norm.sel(step=0, parameter='hidden'),
      _examined().parameters[0].gradient_norm,
      rtol=1e-6,
    )
    self.assertTrue(np.all(np.isnan(written.update_ratio)))

  def test_has_the_names_of_the_dataset(self):
    self._write(0)
    of_report = dataset.make(_examined())
    written = self._written()
    for name in written.data_vars:
      if name not in ('loss', 'verdicts'):
        np.testing.assert_allclose(
          written[name][0], of_report[name], rtol=1e-6, err_msg=name
        )

  def test_goes_on(self):
    self._write(0, 10)
    self._write(20, 30)
    self.assertEqual(self._written().step.values.tolist(), [0, 10, 20, 30])
    np.testing.assert_array_equal(self._written().loss, [0, 10, 20, 30])

  def test_replaces_the_steps_behind_a_checkpoint(self):
    self._write(0, 10, 20, 30)
    self._write(20, 40)
    self.assertEqual(self._written().step.values.tolist(), [0, 10, 20, 40])

  def test_is_whole_where_a_process_died_while_it_wrote(self):
    self._write(0, 10)
    record = self._record()
    died = mock.Mock(side_effect=KeyboardInterrupt)
    with mock.patch.object(recording.zarr, 'consolidate_metadata', died):
      with self.assertRaises(KeyboardInterrupt):
        record.append(20, _examined(), ())
    self.assertEqual(self._written().step.values.tolist(), [0, 10])
    self._write(20, 30)
    self.assertEqual(self._written().step.values.tolist(), [0, 10, 20, 30])

  def test_writes_in_groups_that_take_little_of_the_time(self):
    record = self._record()
    with mock.patch.object(recording.time, 'monotonic') as now:
      now.return_value = 1000.0
      record._took, record._written_at = 1.0, 1000.0
      record.append(0, _examined(), ())
      now.return_value = 1400.0
      record.append(1, _examined(), ())
      self.assertEqual(self._written().sizes['step'], 0)
      now.return_value = 1600.0
      record.append(2, _examined(), ())
    self.assertEqual(self._written().step.values.tolist(), [0, 1, 2])

  def test_is_read_while_it_is_written(self):
    record = self._record()
    record.append(0, _examined(), ())
    record.flush()
    code = 'import sys, xarray; print(len(xarray.open_zarr(sys.argv[1]).step))'
    done = subprocess.run(
      [sys.executable, '-c', code, str(self.path)],
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertEqual(done.stdout.strip(), '1')

  def test_refuses_another_models_record(self):
    self._write(0)
    with self.assertRaisesRegex(
      ValueError,
      r'another model: its parameters has hidden \[3, 4\] where this one has '
      r'hidden \[3, 5\]; give another record$',
    ):
      self._record(_examined(width=5))
    fewer = _examined()._replace(rows=_examined().rows[:-1])
    with self.assertRaisesRegex(ValueError, 'modules has .* has nothing;'):
      self._record(fewer)

  def test_refuses_what_is_no_record(self):
    self.path.mkdir()
    (self.path / 'notes').write_text('mine')
    with self.assertRaisesRegex(ValueError, 'no record of a watch'):
      self._record()
    (self.path / '.zattrs').write_text(json.dumps({'axes': []}))
    with self.assertRaisesRegex(ValueError, 'no record of a watch'):
      self._record()
    self.assertEqual((self.path / 'notes').read_text(), 'mine')

  @hypothesis.settings(max_examples=25)
  @hypothesis.given(strategies.data())
  def test_damaged_metadata_are_said_in_one_line(self, data):
    if not self.path.exists():
      self._write(0)
    names = ['.zattrs', '.zgroup', 'loss/.zarray', 'step/.zattrs']
    file = self.path / data.draw(strategies.sampled_from(names))
    whole = file.read_bytes()
    file.write_bytes(data.draw(damage.damaged(whole)))
    try:
      self._record()
    except ValueError as error:
      self.assertStartsWith(str(error), f'{self.path} ')
      self.assertLen(str(error).splitlines(), 1)
    file.write_bytes(whole)

  @parameterized.parameters(
    [[]],
    [None],
    [{'format': recording.FORMAT}],
    [{'format': recording.FORMAT, 'model': {'modules': 1}}],
  )
  def test_refuses_metadata_of_any_content(self, content):
    self._write(0)
    (self.path / '.zattrs').write_text(json.dumps(content))
    with self.assertRaisesRegex(ValueError, 'no record of a watch; give'):
      self._record()

  @parameterized.parameters(
    {'dtype': '<f8'},
    {'shape': [2**60, 2]},
    {'dtype': '|O', 'filters': [{'id': 'vlen-utf8'}], 'fill_value': ''},
    {'compressor': {'id': 'zlib', 'level': 1}},
  )
  def test_refuses_arrays_that_it_does_not_write(self, **changes):
    self._write(0)
    file = self.path / 'loss' / '.zarray'
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with self.assertRaisesRegex(ValueError, 'is damaged .*; give another'):
      self._record()

  def test_refuses_to_write_through_a_link(self):
    self._write(0)
    elsewhere = self.path.with_name('elsewhere')
    (self.path / 'loss').rename(elsewhere)
    (self.path / 'loss').symlink_to(elsewhere)
    with self.assertRaisesRegex(ValueError, r'damaged \(loss is a link\)'):
      self._record()

  def test_refuses_a_record_without_an_array(self):
    self._write(0)
    (self.path / 'loss' / '.zarray').unlink()
    with self.assertRaisesRegex(ValueError, 'is damaged .*loss.*; give'):
      self._record()

  def test_refuses_where_it_cannot_write(self):
    self.path.write_text('a file')
    with self.assertRaisesRegex(ValueError, 'cannot write to .*give another'):
      recording.Record(self.path / 'below', _examined())
    with self.assertRaisesRegex(ValueError, 'cannot write to .*give another'):
      self._record()


if __name__ == '__main__':
  absltest.main()
