"""Tests for `page_data.py`."""

import base64

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import diagnosis
from jaxdl.report import page
from jaxdl.report import page_data
from jaxdl.report import tables
import numpy as np

from tests import synthetic_record


def _unpack(packed, log):
  """The page's `valueOf`, in Python."""
  dtype = {1: 'u1', 2: '<u2'}[packed['bytes']]
  codes = np.frombuffer(base64.b64decode(packed['data']), dtype).astype(float)
  most = np.iinfo(dtype).max - 3
  span = packed['high'] - packed['low']
  values = packed['low'] + span * (codes - 3) / most
  values = 10**values if log else values
  named = [codes == 0, codes == 1, codes == 2]
  return np.select(named, [np.nan, 0.0, np.inf], values)


class PackTest(parameterized.TestCase):
  def test_decades_come_back_to_a_few_parts_in_a_thousand(self):
    values = 10 ** np.random.default_rng(0).uniform(-38, 38, size=1000)
    packed = page_data.pack(np.ma.array(values), True)
    np.testing.assert_allclose(_unpack(packed, True), values, rtol=2e-3)

  def test_shares_come_back_to_half_a_percent(self):
    values = np.random.default_rng(0).uniform(0, 1, size=1000)
    packed = page_data.pack(np.ma.array(values), False)
    np.testing.assert_allclose(_unpack(packed, False), values, atol=5e-3)

  @parameterized.parameters(True, False)
  def test_named_values(self, log):
    values = np.ma.array(
      [1.0, 0.0, np.inf, np.nan, 0.5], mask=[True, False, False, False, False]
    )
    found = _unpack(page_data.pack(values, log), log)
    np.testing.assert_allclose(found, [np.nan, 0, np.inf, np.inf, 0.5])


class CollectTest(absltest.TestCase):
  def test_stays_small_and_keeps_both_ends(self):
    record = synthetic_record.study(num_steps=300, depth=30)
    judged = diagnosis.diagnose(record)
    data = page_data.collect(record, judged, tables.summary(judged))
    self.assertEqual((data['steps'][0], data['steps'][-1]), (0, 299))
    self.assertGreater(len(data['steps']), 30)
    # With a plotting library of 5 MB, a page of less than 10.
    self.assertLess(len(page.to_json(data)), 5e6)

  def test_ends_of_what_is_shown(self):
    cells = [{'norm': norm} for norm in 'ab']
    record = synthetic_record.make(cells, ['healthy', 'diverged'])
    rms = record['cotangent_rms']
    rms.values[:] = 1e-3
    rms.values[:, 0, 0] = 1e-5
    rms.values[1, 5, 0] = 1e30  # Not to scale, as that one diverged.
    judged = diagnosis.diagnose(record)
    data = page_data.collect(record, judged, tables.summary(judged))
    for configuration in data['configurations']:
      self.assertEqual(configuration['ranges']['cotangent_rms'], [-5, -3])
      self.assertNotIn('activation_dead', configuration['ranges'])

  def test_names_what_a_record_lacks(self):
    record = synthetic_record.make([{'norm': 'a'}], ['healthy'], num_steps=5)
    judged = diagnosis.diagnose(record)
    rest = record.drop_vars(['update_ratio', 'global_gradient_norm'])
    with self.assertRaisesRegex(
      ValueError, 'lacks global_gradient_norm, update_ratio; docs'
    ):
      page_data.collect(rest, judged, tables.summary(judged))

  def test_steps_past_the_last_have_no_value(self):
    record = synthetic_record.make(
      [{'norm': 'a'}, {'norm': 'b'}], ['healthy', 'unmeasured'], num_steps=5
    )
    judged = diagnosis.diagnose(record)
    data = page_data.collect(record, judged, tables.summary(judged))
    for packed in data['statistics'] + data['curves']:
      values = _unpack(packed, packed['log']).reshape(2, -1)
      self.assertTrue(np.isnan(values[1]).all(), packed['name'])


if __name__ == '__main__':
  absltest.main()
