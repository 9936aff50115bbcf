"""Conditioning: how uneven the input of a network's first layer is.

For a linear layer and a squared loss the Hessian is the second moment of the
layer's input. Its largest eigenvalue bounds the step size of gradient descent
(below 2 over it), and the ratio of largest to smallest is how many times slower
the slowest direction learns than the fastest may. A mean that is not zero adds
an eigenvalue of the mean's squared length, which is why inputs are centred. See
LeCun, Kanter & Solla, "Eigenvalues of covariance matrices: application to
neural-network learning", 1991, https://doi.org/10.1103/PhysRevLett.66.2396, and
LeCun et al., "Efficient BackProp", 1998, sections 4.3 and 5.

Everything is float64.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_ROWS = 1024  # Images converted to float64 at a time, to bound memory.


class Conditioning(NamedTuple):
  """Eigenvalues of a layer's input, float64, descending, `[features]` each.

  Attributes:
    covariance: of the covariance, E (x - m)(x - m)^T with the mean m = E x.
    second_moment: of E x x^T, the covariance plus m m^T.
    mean_share: share of E |x|^2 that is |m|^2, in [0, 1]; 0 if it is centred.
  """

  covariance: np.ndarray
  second_moment: np.ndarray
  mean_share: float


def conditioning(
  images: np.ndarray, kernel_size: int | None = None
) -> Conditioning:
  """Finds the eigenvalues of the first layer's input over a training split.

  Args:
    images: preprocessed, `[N, H, W, C]`.
    kernel_size: of a first layer that is a convolution with 'SAME' padding and
      stride 1, whose input is each square of `kernel_size` pixels; None for a
      dense layer, whose input is the whole image.

  Returns:
    Eigenvalues, as many as the layer's input has features: H W C, or
    `kernel_size`^2 C.

  Raises:
    ValueError: if these are no images, or the kernel has an even size.
  """
  if images.ndim != 4 or not images.size:
    raise ValueError(
      f'conditioning takes images [N, H, W, C], got shape {images.shape}.'
    )
  if kernel_size is not None and (kernel_size < 1 or kernel_size % 2 == 0):
    raise ValueError(f'kernel_size must be odd, got {kernel_size}.')
  count, total = 0, np.zeros(())
  for rows in _inputs(images, kernel_size):
    count, total = count + len(rows), total + np.sum(rows, 0)
  mean = total / count
  covariance = np.zeros((mean.size, mean.size))
  for rows in _inputs(images, kernel_size):
    centred = rows - mean
    covariance += centred.T @ centred
  covariance /= count
  second_moment = covariance + np.outer(mean, mean)
  power = np.trace(second_moment)
  return Conditioning(
    _eigenvalues(covariance),
    _eigenvalues(second_moment),
    float(mean @ mean / power) if power else 0.0,
  )


def ratio(eigenvalues: np.ndarray) -> float:
  """Largest over smallest nonzero eigenvalue; NaN if all are zero.

  Pixels that are the same in all images, and directions that a preprocessing
  removes, have the eigenvalue zero: nothing is to be learned there. Zero is
  what float64 cannot tell from it: at most the largest times the number of
  eigenvalues times 2^-52.
  """
  nonzero = _nonzero(eigenvalues)
  return float(nonzero.max() / nonzero.min()) if nonzero.size else np.nan


def rank(eigenvalues: np.ndarray) -> int:
  """The number of nonzero eigenvalues, as `ratio` counts them."""
  return int(_nonzero(eigenvalues).size)


def effective_rank(eigenvalues: np.ndarray) -> float:
  """Exponential of the entropy of the eigenvalues' shares; NaN if all are zero.

  From 1, where one direction has all the power, to their number, where it is
  even. See Roy & Vetterli, "The effective rank: a measure of effective
  dimensionality", EUSIPCO 2007.
  """
  nonzero = _nonzero(eigenvalues)
  if not nonzero.size:
    return np.nan
  shares = nonzero / nonzero.sum()
  return float(np.exp(-np.sum(shares * np.log(shares))))


def _inputs(
  images: np.ndarray, kernel_size: int | None
) -> Iterator[np.ndarray]:
  """Yields the first layer's inputs of a few images, `[rows, features]`."""
  for start in range(0, len(images), _ROWS):
    chunk = images[start : start + _ROWS].astype(np.float64)
    if kernel_size is None:
      yield chunk.reshape(len(chunk), -1)
      continue
    sides = (kernel_size // 2, kernel_size // 2)
    padded = np.pad(chunk, ((0, 0), sides, sides, (0, 0)))
    squares = np.lib.stride_tricks.sliding_window_view(
      padded, (kernel_size, kernel_size), (1, 2)
    )
    yield squares.reshape(-1, chunk.shape[-1] * kernel_size**2)


def _eigenvalues(matrix: np.ndarray) -> np.ndarray:
  """Eigenvalues of a positive semidefinite matrix, descending."""
  return np.maximum(np.linalg.eigvalsh(matrix), 0)[::-1]


def _nonzero(eigenvalues: np.ndarray) -> np.ndarray:
  tolerance = eigenvalues.max() * len(eigenvalues) * np.finfo(np.float64).eps
  return eigenvalues[eigenvalues > tolerance]
