"""The gradient-flow study as one would write it in PyTorch.

An eager loop over configurations, with the norm of each layer's gradient
recorded at every step, in the two arrangements that a user may choose: one
process on all cores, and one single-threaded process a core, over which the
configurations are dealt out. Nothing is compiled; data are resident tensors.
"""

from collections.abc import Iterator, Sequence
import multiprocessing
import os
from typing import NamedTuple

from benchmarks import clocks
from jaxdl.data import preprocessing
from jaxdl.data import sources
import torch
from torch import nn
from torch.nn import functional

WARMUP_STEPS = 3
BATCH_SIZE = 128
LEARNING_RATE = 0.05

ACTIVATIONS = {
  'sigmoid': nn.Sigmoid,
  'tanh': nn.Tanh,
  'relu': nn.ReLU,
  'leaky_relu': nn.LeakyReLU,
  'prelu': nn.PReLU,
  'rrelu': nn.RReLU,
  'elu': nn.ELU,
}


class Cell(NamedTuple):
  """One configuration of the study."""

  activation: str
  norm: str = 'none'  # Or 'batch'.
  shortcut: str = 'none'  # Or 'identity'.
  clip: str = 'none'  # Or 'norm:<greatest global norm>'.
  seed: int = 0
  depth: int = 30
  width: int = 128


def linear(in_features: int, features: int, bias: bool = True) -> nn.Linear:
  """Returns a linear layer with the initial values of the study: He's."""
  layer = nn.Linear(in_features, features, bias)
  nn.init.kaiming_normal_(layer.weight)
  if bias:
    nn.init.zeros_(layer.bias)
  return layer


class Hidden(nn.Module):
  """Linear, normalization, activation; an identity may lead past them."""

  def __init__(self, in_features: int, cell: Cell, shortcut: bool):
    super().__init__()
    normalized = cell.norm == 'batch'
    self.linear = linear(in_features, cell.width, bias=not normalized)
    self.norm = nn.BatchNorm1d(cell.width) if normalized else None
    self.activation = ACTIVATIONS[cell.activation]()
    self.shortcut = shortcut

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps `[batch, in_features]` to `[batch, width]`."""
    y = self.linear(x)
    if self.norm is not None:
      y = self.norm(y)
    y = self.activation(y)
    return x + y if self.shortcut else y


class Data(NamedTuple):
  """Training data, resident."""

  images: torch.Tensor  # [N, pixels], float32.
  labels: torch.Tensor  # [N], int64.


def load() -> Data:
  """Loads the images of the study, preprocessed as it does."""
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  images = torch.from_numpy(dataset.train_images).flatten(1)
  return Data(images, torch.from_numpy(dataset.train_labels).long())


def perceptron(cell: Cell) -> nn.Sequential:
  """Returns the network: `depth` hidden layers, the first a stem, a readout."""
  identity = cell.shortcut == 'identity'
  hidden = [Hidden(cell.width, cell, identity) for _ in range(cell.depth - 1)]
  return nn.Sequential(
    Hidden(784, cell, False), *hidden, linear(cell.width, 10)
  )


def train(cell: Cell, data: Data) -> Iterator[torch.Tensor]:
  """Trains a network; yields its gradients' norms at a step, `[depth + 1]`."""
  torch.manual_seed(cell.seed)
  model = perceptron(cell)
  weights = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
  optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
  while True:
    index = torch.randint(len(data.labels), (BATCH_SIZE,))
    logits = model(data.images[index])
    loss = functional.cross_entropy(logits, data.labels[index])
    optimizer.zero_grad()
    loss.backward()
    grads = [weight.grad for weight in weights if weight.grad is not None]
    yield torch.stack([grad.norm() for grad in grads])
    if cell.clip != 'none':
      max_norm = float(cell.clip.partition(':')[2])
      nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()


class Cost(NamedTuple):
  """What the training of a network costs; times are `clocks.Clock`s."""

  warmup: clocks.Clock  # Making the network, and its first steps.
  steps: clocks.Clock  # The steps after these.


def cost(cell: Cell, data: Data, num_steps: int) -> Cost:
  """Trains for `WARMUP_STEPS`, then for `num_steps` that are timed."""
  begin = clocks.now()
  steps = train(cell, data)
  history = [next(steps) for _ in range(WARMUP_STEPS)]
  warm = clocks.now()
  history += [next(steps) for _ in range(num_steps)]
  torch.stack(history)
  return Cost(warm - begin, clocks.now() - warm)


class Workers:
  """One single-threaded process a core, started and warm; a context manager."""

  def __init__(self, data: Data):
    data.images.share_memory_()
    data.labels.share_memory_()
    self._pool = multiprocessing.get_context('spawn').Pool(
      os.cpu_count(), _start_worker, (data,)
    )
    warm = [Cell('relu', norm) for norm in ('none', 'batch')]
    self.costs(warm * (os.cpu_count() or 1), WARMUP_STEPS)

  def __enter__(self) -> 'Workers':
    return self

  def __exit__(self, *error: object) -> None:
    self._pool.terminate()
    self._pool.join()

  def costs(self, cells: Sequence[Cell], num_steps: int) -> list[Cost]:
    """Trains networks side by side, each process taking the next."""
    tasks = [(cell, num_steps) for cell in cells]
    return list(self._pool.imap_unordered(_cost_in_worker, tasks))


_worker_data: list[Data] = []  # Of this process, if it is one of `Workers`.


def _start_worker(data: Data) -> None:
  torch.set_num_threads(1)
  _worker_data.append(data)


def _cost_in_worker(task: tuple[Cell, int]) -> Cost:
  cell, num_steps = task
  return cost(cell, _worker_data[0], num_steps)
