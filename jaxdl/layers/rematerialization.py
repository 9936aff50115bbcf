"""Scans that keep few of their values for the backward pass."""

from collections.abc import Callable
import math
from typing import Any

import jax
from jax import lax


def scan_in_runs(
  step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, length: int
) -> tuple[Any, Any]:
  """As `lax.scan`, for memory that grows with sqrt(length).

  Steps are taken in equal runs, of which the backward pass keeps what each
  begins with and computes the rest anew. See Chen et al., 2016,
  https://arxiv.org/abs/1604.06174.

  Args:
    step: as of `lax.scan`.
    carry: what the first step is given.
    xs: arrays with a leading axis of size `length`.
    length: how many steps, 1 or more. A run has the largest divisor of it that
      is at most its square root: one step where it is prime.

  Returns:
    As `lax.scan`.
  """
  size = max(k for k in range(1, math.isqrt(length) + 1) if length % k == 0)
  in_runs = jax.tree.map(
    lambda x: x.reshape(length // size, size, *x.shape[1:]), xs
  )
  # In a scan nothing merges with what is computed anew, so no barriers.
  run = jax.checkpoint(
    lambda carry, xs: lax.scan(step, carry, xs), prevent_cse=False
  )
  carry, ys = lax.scan(run, carry, in_runs)
  return carry, jax.tree.map(lambda y: y.reshape(length, *y.shape[2:]), ys)
