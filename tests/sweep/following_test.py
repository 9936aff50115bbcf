"""Tests for `following.py`."""

import errno
import pathlib
from unittest import mock

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.sweep import following
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import store as store_lib
import numpy as np

from tests.sweep import linear_study


class FollowerTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    plan = linear_study.plan()  # Two programs of four cells.
    metrics = {'loss': jax.ShapeDtypeStruct((4, 4), jnp.float32)}
    variables = store_lib.variables(plan, [program_lib.Shapes((), metrics, {})])
    self.store = store_lib.create(out, plan, variables, {}, {})
    self.program = plan.programs[1]
    self.events = []
    self.follower = following.Follower(
      plan, [self.program], np.zeros(8, int), self.store, self.events.append
    )

  def _record(self, start, stop):
    loss = np.tile(np.arange(start, stop, dtype=np.float32), (4, 1))
    store_lib.write_chunk(self.store, self.program, start, {'loss': loss})

  def test_new_chunk_is_an_event_once(self):
    self.follower.look_now()
    self.assertEmpty(self.events)
    self._record(0, 4)
    self.follower.look_now()
    self.follower.look_now()
    (event,) = self.events
    self.assertEqual((event.program, event.steps_done), (self.program, 4))
    np.testing.assert_array_equal(event.metrics['loss'], [[0, 1, 2, 3]] * 4)

  def test_of_several_chunks_the_last_is_shown(self):
    self._record(0, 4)
    self._record(4, 8)
    self._record(8, 10)
    self.follower.look_now()
    (event,) = self.events
    self.assertEqual(event.steps_done, 10)
    np.testing.assert_array_equal(event.metrics['loss'], [[8, 9]] * 4)

  def test_what_was_recorded_before_it_began_is_shown(self):
    self._record(0, 4)
    self._record(4, 8)
    for done, expected in ((4, [8]), (8, [])):
      events = []
      following.Follower(
        linear_study.plan(),
        [self.program],
        np.full(8, done),
        self.store,
        events.append,
      ).look_now()
      self.assertEqual([event.steps_done for event in events], expected)

  def _look_now(self, *codes):
    """Looks, while reading a chunk fails once with each of some errors."""
    errors = [OSError(code, 'lost') for code in codes]
    read_chunk = store_lib.read_chunk

    def read(*args):
      if errors:
        raise errors.pop(0)
      return read_chunk(*args)

    with mock.patch.object(store_lib, 'read_chunk', read):
      self.follower.look_now()

  def test_file_replaced_while_it_is_read_is_read_again(self):
    self._record(0, 4)
    self._look_now(errno.ESTALE)
    self.assertLen(self.events, 1)

  def test_file_replaced_again_is_read_at_the_next_look(self):
    self._record(0, 4)
    self._look_now(errno.ESTALE, errno.ESTALE)
    self.assertEmpty(self.events)
    with mock.patch.object(following, '_SECONDS_BETWEEN_LOOKS', -1):
      self.follower.look()
    self.assertLen(self.events, 1)

  def test_file_that_cannot_be_read_is_an_error(self):
    self._record(0, 4)
    for codes in ((errno.EIO,), (errno.ESTALE, errno.EIO)):
      with self.assertRaisesRegex(OSError, 'lost'):
        self._look_now(*codes)
    self.assertEmpty(self.events)

  def test_other_programs_are_not_followed(self):
    loss = {'loss': np.zeros((4, 4), np.float32)}
    store_lib.write_chunk(
      self.store, self.program._replace(first_cell=0), 0, loss
    )
    self.follower.look_now()
    self.assertEmpty(self.events)


if __name__ == '__main__':
  absltest.main()
