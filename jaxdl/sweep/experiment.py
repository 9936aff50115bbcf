"""What the sweep engine runs: one cell, as three pure functions."""

from typing import Any, NamedTuple, Protocol

import jax

State = Any  # A nest of arrays: all that the next step needs.
Dynamic = dict[str, jax.Array]  # Scalars, [], of one cell.
Batch = tuple[jax.Array, jax.Array]  # Images [batch, ...], labels [batch].
Metrics = dict[str, jax.Array]  # Each [] or [layer].


class Data(NamedTuple):
  """The arrays that every cell reads; the engine copies them to each device."""

  train_images: Any  # [num_train, ...]
  train_labels: Any  # [num_train]
  test_images: Any  # [num_test, ...]
  test_labels: Any  # [num_test]


class Init(Protocol):
  """Makes the first state of a cell."""

  def __call__(self, dynamic: Dynamic, key: jax.Array, /) -> State:
    """Returns the state before step 0."""


class Step(Protocol):
  """Trains one cell for one step."""

  def __call__(
    self, state: State, batch: Batch, dynamic: Dynamic, key: jax.Array, /
  ) -> tuple[State, Metrics]:
    """Returns the next state, and what is recorded of this step."""


class Finish(Protocol):
  """Judges a trained cell."""

  def __call__(
    self, state: State, dynamic: Dynamic, data: Data, /
  ) -> dict[str, jax.Array]:
    """Returns scalars, recorded once for each cell."""


class Experiment(NamedTuple):
  """One cell, as three pure functions; the engine jits, maps and shards them.

  Attributes:
    init: maps the dynamic values of a cell and a key to its first state.
    step: maps a state, a batch, the dynamic values and a key to the next state
      and the metrics of the step, each of shape `[]` or `[layer]`.
    finish: maps the last state, the dynamic values and the data to scalars.
  """

  init: Init
  step: Step
  finish: Finish
