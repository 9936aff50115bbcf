"""Tests for `x_ray/dataset.py`."""

import json
import pathlib

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.x_ray import dataset
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
import numpy as np
import optax
import xarray as xr

_FOUND = finding.Finding('vanishing', 'dense', 'by 7 decades', ('normalize',))


def _loss(params, x):
  with jax.named_scope('dense'):
    x = x @ params['w']
  with jax.named_scope('head'):
    return jnp.mean((x @ params['v']) ** 2)


def _examined():
  params = {'w': jnp.ones((3, 4)), 'v': jnp.ones((4, 2)), 'u': jnp.ones(2)}
  subject = examination.subject(_loss, params, (jnp.ones((5, 3)),), False)
  return examination.examine(subject, optimizer=optax.sgd(0.1))


class MakeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.examined = _examined()
    cls.made = dataset.make(cls.examined, [_FOUND])

  def test_has_every_statistic_of_every_module(self):
    for row in self.examined.rows:
      module = self.made.sel(module=row.name)
      for name in row.forward._fields:
        np.testing.assert_allclose(
          module[f'activation_{name}'], getattr(row.forward, name)
        )
      for name in row.backward._fields:
        np.testing.assert_allclose(
          module[f'cotangent_{name}'], getattr(row.backward, name)
        )
      self.assertEqual(module.source, row.source)
    self.assertEqual(self.made.verdict.sel(module='dense'), 'vanishing')
    self.assertEqual(self.made['shape'].sel(module='dense'), '5×4')

  def test_has_every_number_of_every_parameter(self):
    for parameter in self.examined.parameters:
      found = self.made.sel(parameter=parameter.name)
      np.testing.assert_allclose(found.parameter_norm, parameter.norm)
      np.testing.assert_allclose(found.gradient_norm, parameter.gradient_norm)
      np.testing.assert_allclose(found.update_ratio, parameter.update_ratio)
      np.testing.assert_allclose(found.gradient_zero, parameter.gradient_zero)

  def test_says_which_module_uses_which_parameter(self):
    uses = self.made.uses.sel(module='dense')
    self.assertEqual(list(self.made.parameter[uses.values]), ['w'])
    self.assertFalse(self.made.uses.sel(parameter='u').any())

  def test_attributes_say_how_it_was_made(self):
    self.assertEqual(self.made.loss, self.examined.loss)
    self.assertEqual(json.loads(self.made.findings)[0]['where'], 'dense')
    self.assertEqual(json.loads(self.made.versions)['jax'], jax.__version__)
    self.assertEqual(self.made.format_version, dataset.FORMAT_VERSION)

  def test_survives_being_saved(self):
    path = pathlib.Path(self.create_tempdir().full_path) / 'xray.zarr'
    self.made.to_zarr(path, consolidated=False, zarr_format=2)
    with xr.open_zarr(path, consolidated=False) as opened:
      xr.testing.assert_equal(opened.load(), self.made)
      self.assertEqual(opened.attrs, self.made.attrs)

  def test_of_a_model_without_a_measured_module(self):
    empty = dataset.make(self.examined._replace(rows=()))
    self.assertEqual(empty.sizes['module'], 0)
    self.assertEqual(empty.sizes['parameter'], 3)


if __name__ == '__main__':
  absltest.main()
