"""Tests for `refusals.py`."""

from concurrent import futures
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
from jaxdl import refusals
from jaxdl.sweep import mesh
from jaxdl.sweep import planning


def _raised_here():
  raise ValueError('here')


def _refused_in_a_thread():
  with futures.ThreadPoolExecutor(1) as pool:
    pool.submit(mesh.size, 'rows:1').result()


class IsRefusalTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('a_raise_of_jaxdl', lambda: mesh.size('rows:1'), True),
    ('the_same_in_a_thread', _refused_in_a_thread, True),
    ('a_raise_elsewhere', _raised_here, False),
    ('within_jax', lambda: jnp.zeros(2) @ jnp.zeros(3), False),
    # The call stands in jaxdl, which does not raise.
    (
      'from_python_within_jaxdl',
      lambda: planning.plan([{}], lambda cell: 3, devices=[], num_steps=1),
      False,
    ),
  )
  def test_tells_them_from_faults(self, call, expected):
    try:
      call()
    except (TypeError, ValueError) as error:
      self.assertEqual(refusals.is_refusal(error), expected)
    else:
      self.fail('nothing was raised')

  def test_other_packages_may_refuse_too(self):
    here = pathlib.Path(__file__).parent
    for packages, expected in (((), False), ((here,), True)):
      try:
        _raised_here()
      except ValueError as error:
        self.assertEqual(refusals.is_refusal(error, *packages), expected)

  def test_error_that_was_never_raised_is_none(self):
    self.assertFalse(refusals.is_refusal(ValueError('not raised')))


if __name__ == '__main__':
  absltest.main()
