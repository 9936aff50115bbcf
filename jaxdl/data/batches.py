"""Which examples each step sees: a pure function of the seed and the step.

Every epoch is a fresh permutation of the training examples, drawn from a
counter-based generator whose key is the pair (seed, epoch): no state is carried
from one epoch to the next, so a run that was interrupted, or is recorded in
chunks, sees the batches of an undisturbed one. See Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011, https://doi.org/10.1145/2063384.2063405.
"""

import numpy as np


def batch_indices(
  seed: int,
  start_step: int,
  num_steps: int,
  batch_size: int,
  num_examples: int,
) -> np.ndarray:
  """Gives the rows of the training split that make up each batch.

  The remainder of an epoch that does not fill a batch is dropped; since every
  epoch has its own permutation, no example is left out for good.

  Args:
    seed: of the order of the data; 0 <= seed < 2**64.
    start_step: the first step wanted, counted from the start of training.
    num_steps: how many steps; may span any number of epochs.
    batch_size: examples a step.
    num_examples: examples in the training split.

  Returns:
    int32 `[num_steps, batch_size]`; row i belongs to step `start_step + i`.

  Raises:
    ValueError: if an argument is out of its range.
  """
  _check(seed, start_step, num_steps, batch_size, num_examples)
  steps_an_epoch = num_examples // batch_size
  if num_steps == 0:
    return np.zeros((0, batch_size), np.int32)
  first_epoch, offset = divmod(start_step, steps_an_epoch)
  last_epoch = (start_step + num_steps - 1) // steps_an_epoch
  rows = np.concatenate(
    [
      _epoch(seed, epoch, num_examples)[: steps_an_epoch * batch_size]
      for epoch in range(first_epoch, last_epoch + 1)
    ]
  ).reshape(-1, batch_size)
  return rows[offset : offset + num_steps]


def _epoch(seed: int, epoch: int, num_examples: int) -> np.ndarray:
  """A permutation of the examples, int32 `[num_examples]`.

  It is the order of that many random 64-bit integers. numpy promises the stream
  of a bit generator for good, and that of `Generator.permutation` only until a
  better algorithm is found.
  """
  generator = np.random.Philox(key=np.array([seed, epoch], np.uint64))
  draws = generator.random_raw(num_examples)
  return np.argsort(draws, kind='stable').astype(np.int32)


def _check(
  seed: int,
  start_step: int,
  num_steps: int,
  batch_size: int,
  num_examples: int,
) -> None:
  if not 0 <= seed < 2**64:
    raise ValueError(f'seed is {seed}; it must be at least 0 and below 2**64')
  if start_step < 0:
    raise ValueError(f'start_step is {start_step}; it must be at least 0')
  if num_steps < 0:
    raise ValueError(f'num_steps is {num_steps}; it must be at least 0')
  if batch_size < 1:
    raise ValueError(f'batch_size is {batch_size}; it must be at least 1')
  if batch_size > num_examples:
    raise ValueError(
      f'batch_size is {batch_size}, but there are only {num_examples} training '
      f'examples; choose a batch size from 1 to {num_examples}'
    )
