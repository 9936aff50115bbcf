"""Random words of the cipher Threefry-2x32, written out.

`jax.random.bits` takes the same cipher, but uses one of the two words that each
block of it gives, and on CPUs runs its rounds as a loop with passes over
memory. Written out they are one pass, for where each element of an activation
has a draw; `benchmarks/step_forms.py` has both. See Salmon et al., 2011,
https://doi.org/10.1145/2063384.2063405.
"""

import jax
from jax import lax
import jax.numpy as jnp

Array = jax.Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA  # Of the key schedule, from Skein.
_ROUNDS = 20


def words(key: Array, count: int) -> Array:
  """Draws random words.

  They are other ones than those of `jax.random.bits`, and a function of the key
  alone: under `jax.vmap` too, unless JAX itself draws otherwise there for keys
  of its kind, as for `rbg`.

  Args:
    key: one PRNG key of any kind.
    count: how many, up to 2^33.

  Returns:
    `[count]`, unsigned integers of 32 bits.
  """
  key_words = jax.random.key_data(key)
  if key_words.shape != (2,):  # Of another generator.
    key_words = jax.random.bits(key, (2,), jnp.uint32)
  numbers = lax.iota(jnp.uint32, (count + 1) // 2)
  blocks = encrypt(key_words, (numbers, jnp.zeros_like(numbers)))
  return jnp.concatenate(blocks)[:count]


def encrypt(key: Array, counters: tuple[Array, Array]) -> tuple[Array, Array]:
  """Encrypts blocks of two words, in 20 rounds.

  Args:
    key: two words, `[2]`.
    counters: the first and the second word of each block, `[blocks]`.

  Returns:
    The same of the encrypted blocks.
  """
  schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
  a, b = counters[0] + schedule[0], counters[1] + schedule[1]
  for i in range(_ROUNDS):
    bits = _ROTATIONS[i // 4 % 2][i % 4]
    a = a + b
    b = ((b << bits) | (b >> (32 - bits))) ^ a
    if i % 4 == 3:  # After each fourth round the key enters again.
      number = i // 4 + 1
      a = a + schedule[number % 3]
      b = b + schedule[(number + 1) % 3] + jnp.uint32(number)
  return a, b
