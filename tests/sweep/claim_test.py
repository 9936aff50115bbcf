"""Tests for `claim.py`."""

import errno
import json
import os
import pathlib
import shutil
import unittest
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.sweep import claim

from tests.sweep import linear_study

_JSON = strategies.recursive(
  strategies.none()
  | strategies.booleans()
  | strategies.floats()
  | strategies.text(max_size=5),
  lambda inner: (
    strategies.lists(inner, max_size=3)
    | strategies.dictionaries(
      strategies.sampled_from(['settings', 'axes', 'cells', 'data', 'x\n']),
      inner,
    )
  ),
  max_leaves=9,
)


def _files(out):
  return sorted(str(path.relative_to(out)) for path in out.rglob('*'))


class ClaimTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)

  def _lay_sweep(self, plan, settings):
    """Lays out the files of a sweep, without numbers."""
    content = json.dumps(claim.fingerprint(plan, settings))
    (self.out / claim.PLAN).write_text(content)
    (self.out / claim.RECORD).mkdir()
    (self.out / claim.RECORD / '.zattrs').write_text('{"cell_axes": "[]"}')
    (self.out / claim.CHECKPOINTS).mkdir()
    (self.out / claim.CHECKPOINTS / 'cells-0-4-step-2.msgpack').touch()

  def _claim(self, plan=None, settings=None, **options):
    plan = plan or linear_study.plan()
    return claim.claim(self.out, plan, settings or {}, **options)

  @parameterized.parameters({}, {'resume': True}, {'overwrite': True})
  def test_empty_directory_is_free(self, **options):
    self.assertFalse(self._claim(**options))
    self.out = self.out / 'not' / 'there'
    self.assertFalse(self._claim(**options))

  def test_sweep_is_not_touched_unasked(self):
    self._lay_sweep(linear_study.plan(), {})
    before = _files(self.out)
    with self.assertRaisesRegex(ValueError, '--resume .* --overwrite .* --out'):
      self._claim()
    self.assertFalse(self._claim(overwrite=True))
    self.assertTrue(self._claim(resume=True))
    self.assertEqual(_files(self.out), before)

  def test_sweep_killed_before_it_began_is_begun_anew(self):
    (self.out / claim.PARTIAL_RECORD).mkdir()
    self.assertFalse(self._claim())
    self.assertFalse(self._claim(resume=True))

  def test_other_devices_may_go_on(self):
    self._lay_sweep(linear_study.plan(num_devices=1), {})
    self.assertTrue(self._claim(linear_study.plan(num_devices=4), resume=True))

  @parameterized.named_parameters(
    ('steps', {'num_steps': 99}, {}, 'num_steps was 10, is 99'),
    ('chunk', {'chunk_steps': 5}, {}, 'chunk_steps was 4, is 5'),
    ('axis', {'axes': {'depth': [3]}}, {}, r'depth was \[2\], is \[3\]'),
    ('new_axis', {'axes': {'norm': ['no']}}, {}, r"norm was None, is \['no'\]"),
    ('settings', {}, {'data': 'mnist'}, "data was None, is 'mnist'"),
    (
      'drawing',
      {},
      {'drawing': 2},
      'the version of jaxdl that began it drew other random numbers',
    ),
  )
  def test_other_sweep_cannot_be_resumed(self, options, settings, message):
    self._lay_sweep(linear_study.plan(), {})
    plan = linear_study.plan(**options)
    with self.assertRaisesRegex(ValueError, message) as caught:
      self._claim(plan, settings, resume=True)
    self.assertNotIn('\n', str(caught.exception))

  def test_other_cells_of_the_same_axes_cannot_be_resumed(self):
    plan = linear_study.plan()
    self._lay_sweep(plan, {})
    first = plan.programs[0]
    first = first._replace(cells=first.cells[::-1])
    plan = plan._replace(programs=(first, *plan.programs[1:]))
    axes = dict(claim.axes(linear_study.plan()))
    self.assertNotEqual(claim.axes(plan), axes)
    with self.assertRaisesRegex(ValueError, 'seed was .0, 1., is .1, 0.'):
      self._claim(plan, resume=True)

  @parameterized.parameters('', '[1]', 'no json', '\udcff', '[' * 100_000)
  def test_damaged_plan_cannot_be_resumed(self, content):
    self._lay_sweep(linear_study.plan(), {})
    (self.out / claim.PLAN).write_text(content, errors='surrogateescape')
    with self.assertRaisesRegex(ValueError, 'plan.json is missing or damaged'):
      self._claim(resume=True)

  @hypothesis.given(content=_JSON)
  def test_plan_of_any_content_is_told_apart_in_one_line(self, content):
    if not (self.out / claim.PLAN).exists():
      self._lay_sweep(linear_study.plan(), {})
    (self.out / claim.PLAN).write_text(json.dumps(content))
    with self.assertRaisesRegex(ValueError, '^cannot resume .* --out$') as told:
      self._claim(resume=True)
    self.assertLess(len(str(told.exception)), 5000)

  @parameterized.product(
    name=('record.zarr', 'record.zarr/loss', 'checkpoints', 'plan.json'),
    dangles=(False, True),
    options=({'resume': True}, {'overwrite': True}),
  )
  def test_links_are_not_followed(self, name, dangles, options):
    self._lay_sweep(linear_study.plan(), {})
    elsewhere = pathlib.Path(self.create_tempdir().full_path) / 'elsewhere'
    path = self.out / name
    if path.exists():
      path.rename(elsewhere)
    else:
      elsewhere.mkdir()
    path.symlink_to(elsewhere)
    if dangles and elsewhere.is_dir():
      shutil.rmtree(elsewhere)
    before = _files(elsewhere), _files(self.out)
    with self.assertRaisesRegex(ValueError, f'{name} is a link, .* the link'):
      self._claim(**options)
    self.assertEqual((_files(elsewhere), _files(self.out)), before)

  @parameterized.parameters('record.zarr', 'record.zarr.partial', 'checkpoints')
  def test_file_in_the_place_of_a_folder_is_said(self, name):
    self._lay_sweep(linear_study.plan(), {})
    shutil.rmtree(self.out / name, ignore_errors=True)
    (self.out / name).write_text('mine')
    for options in ({'resume': True}, {'overwrite': True}):
      with self.assertRaisesRegex(ValueError, f'{name} is not a directory, as'):
        self._claim(**options)

  def test_pipe_is_not_waited_for(self):
    os.mkfifo(self.out / claim.PLAN)
    with self.assertRaisesRegex(ValueError, 'files that are no sweep'):
      self._claim(overwrite=True)

  @parameterized.parameters('notes.txt', 'plan.json', 'checkpoints')
  def test_foreign_directory_is_left_alone(self, name):
    (self.out / name).write_text('{"mine": 1}')
    for options in ({}, {'resume': True}, {'overwrite': True}):
      with self.assertRaisesRegex(ValueError, 'files that are no sweep'):
        self._claim(**options)

  def test_resume_and_overwrite_exclude_each_other(self):
    with self.assertRaisesRegex(ValueError, 'exclude each other'):
      self._claim(resume=True, overwrite=True)

  def test_file_is_no_directory(self):
    self.out = self.out / 'file'
    self.out.touch()
    for out in (self.out, self.out / 'below'):
      self.out = out
      with self.assertRaisesRegex(ValueError, 'file is not a directory'):
        self._claim()

  def test_place_that_cannot_be_is_refused(self):
    (self.out / 'link').symlink_to(self.out / 'nowhere')
    for name in ('link', 'link/below'):
      with self.assertRaisesRegex(ValueError, 'link is not a directory'):
        claim.check_writable(self.out / name)
    with self.assertRaisesRegex(ValueError, 'too long; give another --out'):
      claim.check_writable(self.out / ('x' * 300))

  @unittest.skipUnless(os.path.isdir('/proc/self'), 'There is no /proc.')
  def test_folder_that_takes_no_files_is_refused(self):
    with self.assertRaisesRegex(ValueError, '/proc is not a directory that'):
      claim.check_writable(pathlib.Path('/proc/o'))

  def test_folder_that_has_no_room_now_is_not(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with mock.patch('tempfile.TemporaryFile', side_effect=full):
      claim.check_writable(self.out / 'o')
    self.assertEmpty(_files(self.out))

  def test_removal_leaves_what_is_not_ours(self):
    self._lay_sweep(linear_study.plan(), {})
    foreign = [
      'checkpoints/best.msgpack',
      'checkpoints/cells-notes.txt',
      'notes.txt',
      'report.html',
    ]
    for name in foreign:
      (self.out / name).touch()

    claim.remove(self.out)

    self.assertEqual(_files(self.out), ['checkpoints', *foreign])


if __name__ == '__main__':
  absltest.main()
