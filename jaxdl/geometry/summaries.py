"""A model as a table: shapes, parameters, operations and memory by scope."""

import csv
import io
import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxdl.geometry import columns
from jaxdl.geometry import counting
from jaxdl.geometry import depth as depth_lib
from jaxdl.geometry import receptive_fields
from jaxdl.geometry import traced
from jaxdl.geometry.receptive_fields import Field
from jaxdl.tracing.jaxpr import Path

_HEADER = (
  'scope',
  'times',
  'output',
  'parameters',
  'MACs',
  'activation bytes',
  'field',
  'stride',
)


class Row(NamedTuple):
  """What is done in one scope, beside what is done in scopes within it.

  Attributes:
    scope: its name; empty for what is done outside all scopes.
    times: how many iterations the scans around it have.
    shape: of its output in one iteration, without the batch; None if there is
      none.
    parameters: numbers that it is the first to read, in all iterations.
    macs: multiply-accumulates of its convolutions and matrix products, in all
      iterations.
    activation_bytes: of its output at a batch of one, in all iterations.
    fields: the receptive field of its output along each axis of space, in the
      last iteration; empty if the output does not depend on the input.
  """

  scope: str
  times: int
  shape: tuple[int, ...] | None
  parameters: int
  macs: int
  activation_bytes: int
  fields: tuple[Field, ...]


class Summary(NamedTuple):
  """The rows of a model in the order of computation; `print` shows a table.

  Attributes:
    rows: one for each scope.
    out_shape: of the model's output, without the batch.
    depth: layers with weights on the longest way from the input to the output.
    unread_parameters: numbers among the parameters that nothing reads.
  """

  rows: tuple[Row, ...]
  out_shape: tuple[int, ...]
  depth: int
  unread_parameters: int

  @property
  def parameters(self) -> int:
    """All parameters."""
    return self.unread_parameters + sum(row.parameters for row in self.rows)

  @property
  def macs(self) -> int:
    """All multiply-accumulates for one example."""
    return sum(row.macs for row in self.rows)

  @property
  def activation_bytes(self) -> int:
    """Bytes of the outputs of all scopes for one example."""
    return sum(row.activation_bytes for row in self.rows)

  def row(self, scope: str) -> Row:
    """Returns the row of a scope.

    Raises:
      ValueError: if there is none.
    """
    found = {row.scope: row for row in self.rows}
    if scope not in found:
      raise ValueError(
        f'There is no scope {scope!r}; choose one of: {", ".join(found)}.'
      )
    return found[scope]

  def to_csv(self) -> str:
    """Returns the rows as comma-separated values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([name.replace(' ', '_').lower() for name in _HEADER])
    writer.writerows(_cells(row) for row in self.rows)
    return text.getvalue()

  def __str__(self) -> str:
    """Returns the rows in columns, then the totals."""
    total = (
      'total',
      '',
      columns.product(self.out_shape),
      f'{self.parameters:,}',
      f'{self.macs:,}',
      f'{self.activation_bytes:,}',
      '',
      '',
    )
    cells = [_cells(row, number='{:,}') for row in self.rows]
    if self.unread_parameters:
      unread = f'{self.unread_parameters:,}'
      cells.append(('(never read)', '', '', unread, '', '', '', ''))
    return columns.aligned(_HEADER, [*cells, total])


def summary(
  fn: traced.Model,
  in_shape: tuple[int, ...],
  params: Any = None,
  *,
  depth: int | None = None,
) -> Summary:
  """Counts parameters, multiply-accumulates and memory of every scope.

  Reads the jaxpr: nothing is allocated or run. Multiply-accumulates are those
  of convolutions and products of matrices, for one example; those within a
  while loop, whose length is unknown, are left out.

  Args:
    fn: a `jaxdl.layers.Layer`, at test time; a function of x; or, where params
      are given, a function of (params, x). x has a batch of one.
    in_shape: of x, without the batch; its last axis holds the channels.
    params: arrays or `jax.ShapeDtypeStruct`s. Of a mapping with an entry
      `params`, such as the variables of Flax, that entry alone is counted.
    depth: joins scopes with more than so many names to the one around them.

  Raises:
    ValueError: if the shape isn't one, the depth is less than 1, or a layer is
      given params.
  """
  if depth is not None and depth < 1:
    raise ValueError(f'depth must be at least 1, got {depth}.')
  model = traced.trace(fn, in_shape, params)
  rows: dict[Path, Row] = {}
  outputs = _outputs(model, receptive_fields.of_traced(model, in_shape))
  for path, row in _rows(model, outputs).items():
    short = path[:depth]
    shape, _, fields = outputs.get('/'.join(short), _NO_OUTPUT)
    seen = rows.get(short, Row('', row.times, shape, 0, 0, 0, fields))
    rows[short] = seen._replace(
      times=min(seen.times, row.times),
      parameters=seen.parameters + row.parameters,
      macs=seen.macs + row.macs,
      activation_bytes=seen.activation_bytes + row.activation_bytes,
    )
  names = _short_names(list(rows))
  total = sum(parameter.size for parameter in model.parameters)
  return Summary(
    tuple(row._replace(scope=names[path]) for path, row in rows.items()),
    model.out_shape[1:],
    _depth(model),
    unread_parameters=total - sum(row.parameters for row in rows.values()),
  )


def _depth(model: traced.Traced) -> int:
  inputs = [0 if key == model.x else None for key in model.graph.inputs]
  return depth_lib.longest_path(model.graph, inputs)[0] or 0


def _rows(model, outputs) -> dict[Path, Row]:
  """The row of each path in which operations lie, without a name."""
  rows: dict[Path, Row] = {}

  def count(path, operation, graph, runs):
    if operation.bodies:
      return  # What is within them is told of by itself.
    macs = runs * counting.multiply_accumulates(operation, graph)
    shape, size, fields = outputs.get('/'.join(path), _NO_OUTPUT)
    seen = rows.get(path, Row('', runs, shape, 0, 0, size, fields))
    rows[path] = seen._replace(
      times=min(seen.times, runs), macs=seen.macs + macs
    )

  counting.visit(model.graph, count)
  sizes = {parameter.key: parameter.size for parameter in model.parameters}
  for key, path in counting.owners(model.graph, sizes).items():
    rows[path] = rows[path]._replace(
      parameters=rows[path].parameters + sizes[key]
    )
  nothing = rows.get(())
  if nothing is not None and not nothing.macs and not nothing.parameters:
    del rows[()]
  return rows


class _Output(NamedTuple):
  shape: tuple[int, ...] | None
  size: int  # In bytes, over all iterations.
  fields: tuple[Field, ...]


_NO_OUTPUT = _Output(None, 0, ())


def _outputs(model, fields) -> dict[str, _Output]:
  """The output of each scope by its name."""
  seen = {scope: row.fields for row in fields for scope in row.scopes}
  outputs = {}
  for site in model.sites:
    for path in site.paths:
      itemsize = jnp.dtype(site.dtype).itemsize
      size = itemsize * math.prod((*site.shape, *site.lengths))
      outputs[path] = _Output(site.shape[1:], size, seen.get(path, ()))
  return outputs


def _short_names(paths: list[Path]) -> dict[Path, str]:
  """Names each path by its outermost scope that holds no other path."""
  holders: dict[Path, int] = {}
  for path in paths:
    for length in range(1, len(path) + 1):
      holders[path[:length]] = holders.get(path[:length], 0) + 1
  names = {}
  for path in paths:
    lengths = range(1, len(path))
    length = next((n for n in lengths if holders[path[:n]] == 1), len(path))
    names[path] = '/'.join(path[:length])
  return names


def _cells(row: Row, number: str = '{}') -> tuple[str, ...]:
  return (
    row.scope or '(no scope)',
    number.format(row.times),
    '-' if row.shape is None else columns.product(row.shape),
    number.format(row.parameters),
    number.format(row.macs),
    number.format(row.activation_bytes),
    columns.common([math.floor(field.size) for field in row.fields]),
    columns.common([field.stride or '-' for field in row.fields]),
  )
