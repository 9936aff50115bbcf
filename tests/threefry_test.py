"""Tests for `threefry.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import threefry
import numpy as np
import scipy.stats


class EncryptTest(parameterized.TestCase):
  @parameterized.parameters(
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    (
      (0xFFFFFFFF, 0xFFFFFFFF),
      (0xFFFFFFFF, 0xFFFFFFFF),
      (0x1CB996FC, 0xBB002BE7),
    ),
    (
      (0x13198A2E, 0x03707344),
      (0x243F6A88, 0x85A308D3),
      (0xC4923A9C, 0x483DF7A0),
    ),
  )
  def test_agrees_with_the_published_vectors(self, key, counter, expected):
    """Those of the library Random123, `kat_vectors`."""
    found = threefry.encrypt(
      jnp.array(key, jnp.uint32),
      tuple(jnp.array([word], jnp.uint32) for word in counter),
    )
    self.assertEqual(tuple(int(word[0]) for word in found), expected)


class WordsTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(0, 1, 2, 7)
  def test_are_as_many_as_asked_for(self, count):
    found = self.variant(lambda key: threefry.words(key, count))(
      jax.random.key(0)
    )
    chex.assert_shape(found, (count,))
    self.assertEqual(found.dtype, jnp.uint32)

  def test_are_the_same_for_each_of_many_keys(self):
    keys = jax.random.split(jax.random.key(0), 3)
    draw = lambda key: threefry.words(key, 9)
    chex.assert_trees_all_equal(
      jax.jit(jax.vmap(draw))(keys), jnp.stack([draw(key) for key in keys])
    )
    self.assertLen(np.unique(jax.vmap(draw)(keys)), 27)

  @parameterized.parameters('threefry2x32', 'rbg')
  def test_takes_keys_of_any_kind(self, impl):
    first, second = (
      threefry.words(jax.random.key(seed, impl=impl), 100) for seed in (0, 1)
    )
    self.assertLen(np.unique([first, second]), 200)

  def test_takes_raw_keys(self):
    chex.assert_trees_all_equal(
      threefry.words(jax.random.PRNGKey(3), 5),
      threefry.words(jax.random.key(3), 5),
    )

  def test_each_bit_is_set_half_of_the_time(self):
    found = np.asarray(threefry.words(jax.random.key(0), 2**16))
    set_bits = (found[:, None] >> np.arange(32)) & 1
    # The largest of 32 deviations, in standard deviations of the mean.
    deviation = np.abs(set_bits.mean(0) - 0.5).max() * 2 * 2**8
    self.assertLess(deviation, 4.5)
    lag = np.corrcoef(found[1:].astype(float), found[:-1].astype(float))[0, 1]
    self.assertLess(abs(lag), 4.5 / 2**8)
    uniform = scipy.stats.kstest(found / 2.0**32, 'uniform')
    self.assertGreater(uniform.pvalue, 1e-4)


if __name__ == '__main__':
  absltest.main()
