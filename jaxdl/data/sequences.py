"""Problems over sequences whose answer depends on what came long before.

Of Hochreiter & Schmidhuber, 1997, "Long short-term memory", experiments 4 and
6a, in the form in which Pascanu, Mikolov & Bengio, 2013,
https://arxiv.org/abs/1211.5063, use them: all sequences of a batch have one
length T, and what is to be remembered lies at places given as shares of T. Pure
functions of a key: every batch is drawn anew, so there is nothing to overfit.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

# From here on, each interval that a place is drawn from has one.
MIN_LENGTH = 10

# Mean squared error of the answer 1, the mean of the sum of two numbers, each
# of variance 1/12. Le et al., 2015, https://arxiv.org/abs/1504.00941, quote
# 0.1767 for the same.
ADDING_BASELINE = 1 / 6

NUM_ORDERS = 4
# Cross-entropy of guessing one of the four orders.
TEMPORAL_ORDER_BASELINE = math.log(NUM_ORDERS)

_NUM_SYMBOLS, _NUM_DISTRACTORS = 2, 4


class Sequences(NamedTuple):
  """A batch.

  Attributes:
    inputs: `[batch, length, features]`, float.
    targets: of regression `[batch, 1]`, float; of classification `[batch]`,
      integers.
  """

  inputs: Array
  targets: Array


def adding(key: Array, batch_size: int, length: int) -> Sequences:
  """The sum of two numbers of a sequence, which are marked.

  At each of the T steps the inputs are a number, uniform in [0, 1), and a mark:
  1 at two steps, else 0. The first marked step is uniform among the first T/10,
  [0, T // 10), the second in [T // 10, T // 2). The target is the sum of the
  numbers there, as in Le et al., 2015, https://arxiv.org/abs/1504.00941; that
  of Pascanu et al. is their mean, half of it, and that of Hochreiter &
  Schmidhuber a half plus a quarter of the sum of numbers from [-1, 1].

  Answering 1, the mean, has a mean squared error of `ADDING_BASELINE`.

  Args:
    key: of all that is drawn.
    batch_size: number of sequences, at least 1.
    length: T, at least `MIN_LENGTH`.

  Returns:
    Inputs `[batch, length, 2]` and targets `[batch, 1]`.

  Raises:
    ValueError: if there is no sequence, or it is too short.
  """
  _check('the adding problem', batch_size, length)
  numbers_key, first_key, second_key = jax.random.split(key, 3)
  numbers = jax.random.uniform(numbers_key, (batch_size, length))
  first = jax.random.randint(first_key, (batch_size,), 0, length // 10)
  second = jax.random.randint(
    second_key, (batch_size,), length // 10, length // 2
  )
  marks = jax.nn.one_hot(first, length) + jax.nn.one_hot(second, length)
  return Sequences(
    jnp.stack([numbers, marks], axis=-1),
    jnp.sum(numbers * marks, axis=1, keepdims=True),
  )


def temporal_order(key: Array, batch_size: int, length: int) -> Sequences:
  """In which order two symbols came, among others: AA, AB, BA or BB.

  Each of the T steps is one of six symbols, as a one-hot vector: A and B first,
  then four distractors, which are uniform. A or B, uniform too, stand at two
  steps alone: one in [T/10, 2T/10), the other in [4T/10, 5T/10), rounded down.
  The class is 2 [first is B] + [second is B]; guessing is right in a quarter
  of all cases, at a cross-entropy of `TEMPORAL_ORDER_BASELINE` nats. Hochreiter
  & Schmidhuber have two more symbols, which begin and end a sequence.

  Args:
    key: of all that is drawn.
    batch_size: number of sequences, at least 1.
    length: T, at least `MIN_LENGTH`.

  Returns:
    Inputs `[batch, length, 6]` and classes, integers `[batch]`.

  Raises:
    ValueError: if there is no sequence, or it is too short.
  """
  _check('the temporal-order problem', batch_size, length)
  noise_key, symbol_key, *place_keys = jax.random.split(key, 4)
  symbols = _NUM_SYMBOLS + jax.random.randint(
    noise_key, (batch_size, length), 0, _NUM_DISTRACTORS
  )
  relevant = jax.random.randint(
    symbol_key, (batch_size, len(place_keys)), 0, _NUM_SYMBOLS
  )
  rows = jnp.arange(batch_size)
  for i, (place_key, tenth) in enumerate(zip(place_keys, (1, 4), strict=True)):
    start, end = (n * length // 10 for n in (tenth, tenth + 1))
    place = jax.random.randint(place_key, (batch_size,), start, end)
    symbols = symbols.at[rows, place].set(relevant[:, i])
  inputs = jax.nn.one_hot(symbols, _NUM_SYMBOLS + _NUM_DISTRACTORS)
  return Sequences(inputs, _NUM_SYMBOLS * relevant[:, 0] + relevant[:, 1])


def _check(problem: str, batch_size: int, length: int) -> None:
  if batch_size < 1:
    raise ValueError(f'batch_size is {batch_size}; it must be at least 1')
  if length < MIN_LENGTH:
    raise ValueError(
      f'length is {length}; {problem} needs at least {MIN_LENGTH} steps'
    )
