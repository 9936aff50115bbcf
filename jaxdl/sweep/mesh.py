"""Which devices a sweep uses, and how many of them share a batch."""

from collections.abc import Sequence
import math
from typing import Any, NamedTuple

_AXES = ('cells', 'data')
_EXAMPLES = 'cells:8, or cells:4,data:2'


class Mesh(NamedTuple):
  """Devices for `planning.plan`.

  Attributes:
    devices: those to use.
    group_size: how many of them share each batch.
  """

  devices: tuple[Any, ...]
  group_size: int


def select(text: str, devices: Sequence[Any]) -> Mesh:
  """Selects devices as a user names them.

  Args:
    text: such as `cells:4,data:2`: four groups, each of which trains other
      cells, of two devices that share each batch. `cells` is by default as
      large as the devices allow, `data` is 1; so an empty text gives all
      devices to cells.
    devices: those that there are.

  Returns:
    The first of the devices, as many as the text names.

  Raises:
    ValueError: the text is no mesh, or names more devices than there are, or
      fewer than there are in several processes.
  """
  sizes = _sizes(text)
  data = sizes.get('data', 1)
  cells = sizes.get('cells', max(len(devices) // data, 1))
  wanted, found = cells * data, f'there are {len(devices)}'
  if wanted > len(devices):
    if devices[0].platform == 'cpu':
      found += f' (JAX_NUM_CPU_DEVICES={wanted} makes that many of a CPU)'
    raise ValueError(
      f'mesh {text!r} takes {wanted} devices, and {found}; give smaller sizes'
    )
  processes = {device.process_index for device in devices}
  if wanted < len(devices) and len(processes) > 1:
    raise ValueError(
      f'mesh {text!r} takes {wanted} devices, and {found}, in '
      f'{len(processes)} processes: use all of them, or start fewer processes'
    )
  return Mesh(tuple(devices[:wanted]), data)


def size(text: str) -> int:
  """Returns how many devices a mesh takes at least; see `select`.

  Args:
    text: such as `cells:4,data:2`.

  Raises:
    ValueError: the text is no mesh.
  """
  return math.prod(_sizes(text).values())


def _sizes(text: str) -> dict[str, int]:
  """Returns the size of each axis that is named."""
  sizes: dict[str, int] = {}
  for part in filter(None, text.split(',')):
    name, _, number = part.strip().partition(':')
    is_size = number.isascii() and number.isdigit() and 0 < len(number) < 10
    if name not in _AXES or name in sizes or not is_size or not int(number):
      raise ValueError(
        f'mesh {text!r} is none, for {part!r}; name each of '
        f'{" and ".join(_AXES)} at most once, with a number of devices: '
        f'{_EXAMPLES}'
      )
    sizes[name] = int(number)
  return sizes
