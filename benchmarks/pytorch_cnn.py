"""ResNet-20 and VGG-16 for CIFAR as one writes them in PyTorch, for a CPU.

Eager, channels last (the faster layout there), on all cores in one process or,
for a grid, in one single-threaded process a core.
"""

from collections.abc import Callable
import multiprocessing
import time

import torch
from torch import nn
from torch.nn import functional

VGG16 = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
LEARNING_RATE, MOMENTUM = 0.01, 0.9


class Block(nn.Module):
  """Two 3x3 convolutions, and past them an identity: option A."""

  def __init__(self, in_features: int, features: int, stride: int):
    super().__init__()
    self.conv1 = nn.Conv2d(in_features, features, 3, stride, 1, bias=False)
    self.norm1 = nn.BatchNorm2d(features)
    self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
    self.norm2 = nn.BatchNorm2d(features)
    self.stride = stride
    self.added = features - in_features

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps `[batch, in, height, width]` to `[batch, features, ...]`."""
    y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
    y = self.norm2(self.conv2(y))
    if self.stride > 1 or self.added:
      x = x[:, :, :: self.stride, :: self.stride]
      x = functional.pad(x, (0, 0, 0, 0, 0, self.added))
    return functional.relu(x + y, inplace=True)


def resnet20(num_classes: int) -> nn.Sequential:
  """He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2."""
  stem = [
    nn.Conv2d(3, 16, 3, 1, 1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(inplace=True),
  ]
  blocks, in_features = [], 16
  for features, stride in ((16, 1), (32, 2), (64, 2)):
    for block_stride in (stride, 1, 1):
      blocks.append(Block(in_features, features, block_stride))
      in_features = features
  readout = [
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(in_features, num_classes),
  ]
  return nn.Sequential(*stem, *blocks, *readout)


def vgg16_cifar(num_classes: int) -> nn.Sequential:
  """Configuration D of Simonyan & Zisserman, 2015, with a single dense layer.

  See https://arxiv.org/abs/1409.1556.
  """
  layers: list[nn.Module] = []
  in_features = 3
  for stage in VGG16:
    for features in stage:
      layers += [
        nn.Conv2d(in_features, features, 3, 1, 1),
        nn.ReLU(inplace=True),
      ]
      in_features = features
    layers.append(nn.MaxPool2d(2))
  readout = nn.Linear(in_features, num_classes)
  return nn.Sequential(*layers, nn.Flatten(), readout)


MODELS: dict[str, Callable[[int], nn.Sequential]] = {
  'resnet20': resnet20,
  'vgg16_cifar': vgg16_cifar,
}


def he_normal(model: nn.Module) -> None:
  """Gives all weights He's initial values, and all biases zero."""
  for module in model.modules():
    if isinstance(module, nn.Conv2d | nn.Linear):
      nn.init.kaiming_normal_(module.weight)
      if module.bias is not None:
        nn.init.zeros_(module.bias)


class Training:
  """A network in training on one batch, over and over."""

  def __init__(
    self, name: str, images: torch.Tensor, labels: torch.Tensor, classes: int
  ):
    model = MODELS[name](classes)
    he_normal(model)
    for parameter in model.parameters():
      if parameter.dim() == 4:  # A kernel.
        parameter.data = parameter.data.contiguous(
          memory_format=torch.channels_last
        )
    self.model = model
    # Images come as [batch, height, width, channels]; the view is free.
    self._images = images.permute(0, 3, 1, 2)
    self._labels = labels
    self._optimizer = torch.optim.SGD(
      self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM
    )

  @property
  def num_parameters(self) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in self.model.parameters())

  def run(self, num_steps: int) -> float:
    """Trains for some steps; returns the seconds that all cores took."""
    begin = time.process_time()
    for _ in range(num_steps):
      loss = functional.cross_entropy(self.model(self._images), self._labels)
      self._optimizer.zero_grad()
      loss.backward()
      self._optimizer.step()
    return time.process_time() - begin


class Workers:
  """Single-threaded processes, each training a network of its own.

  A context manager. All start a run together, and a run ends with the last.
  """

  def __init__(
    self,
    num_workers: int,
    name: str,
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
  ):
    context = multiprocessing.get_context('spawn')
    self._connections, self._processes = [], []
    for _ in range(num_workers):
      ours, theirs = context.Pipe()
      process = context.Process(
        target=_work, args=(theirs, name, images, labels, classes), daemon=True
      )
      process.start()
      theirs.close()
      self._connections.append(ours)
      self._processes.append(process)
    (self.num_parameters,) = {c.recv() for c in self._connections}

  def __enter__(self) -> 'Workers':
    return self

  def __exit__(self, *error: object) -> None:
    for connection in self._connections:
      connection.close()
    for process in self._processes:
      process.join()

  def run(self, num_steps: int) -> float:
    """Trains every network; returns the seconds that all cores took."""
    for connection in self._connections:
      connection.send(num_steps)
    return sum(connection.recv() for connection in self._connections)


def _work(connection, name, images, labels, classes) -> None:
  """Trains as many steps as it is told, until the other end closes."""
  torch.set_num_threads(1)
  training = Training(name, images, labels, classes)
  connection.send(training.num_parameters)
  while True:
    try:
      num_steps = connection.recv()
    except EOFError:
      return
    connection.send(training.run(num_steps))
