"""The report of an X-ray: `print(jaxdl.xray(loss_fn, model, batch))`."""

from collections.abc import Callable, Iterable
import functools
import math
import os
import shutil
from typing import Any, TYPE_CHECKING

from jaxdl.tracing import nonfinite
from jaxdl.x_ray import answer
from jaxdl.x_ray import culprits
from jaxdl.x_ray import cures
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import formatting
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import optimizer_state
from jaxdl.x_ray import results
from jaxdl.x_ray import table
import optax

if TYPE_CHECKING:
  from matplotlib import figure as figure_lib
  import xarray as xr

_WIDEST = 100
_NARROWEST = 60
_MOST_ROWS = 40


def xray(
  loss_fn: Callable[..., Any],
  model: Any,
  *args: Any,
  has_aux: bool = False,
  optimizer: optax.GradientTransformation | None = None,
  opt_state: Any = None,
) -> 'Report':
  """Measures every module of a model in one pass forward and back.

  Args:
    loss_fn: maps `(model, *args)` to a scalar, or to `(scalar, aux)` if
      `has_aux`; what is given to `jax.grad`, `nnx.grad` or `eqx.filter_grad`.
    model: an `nnx.Module`, an `equinox.Module`, the variables of a Linen or
      Haiku model, or any pytree of parameters. It is left as it is.
    *args: further arguments of the loss: the batch, keys.
    has_aux: whether the loss returns auxiliary data.
    optimizer: whose update is measured beside the parameters.
    opt_state: its state, as `optimizer.init` made it of the model, or as
      `nnx.Optimizer` keeps it; that of a first step by default.

  Raises:
    TypeError: if the loss is no real scalar, the model has no parameters, or
      the optimizer's state is another model's.
  """
  optimizer_state.check(optimizer)
  subject = examination_lib.subject(loss_fn, model, args, has_aux)
  examined = examination_lib.examine(subject, optimizer, opt_state)
  return Report(subject, examined, optimizer)


class Report:
  """What an X-ray shows: printed, it is a table with the findings below.

  Attributes:
    subject: what was examined.
    examination: what was measured.
    optimizer: whose update was measured, or None.
  """

  def __init__(
    self,
    subject: examination_lib.Subject,
    examination: results.Examination,
    optimizer: optax.GradientTransformation | None = None,
  ):
    self.subject = subject
    self.examination = examination
    self.optimizer = optimizer

  def diagnose(self) -> answer.Diagnosis:
    """What is wrong, where it starts, and what to try; the worst first."""
    return self._diagnosis

  def first_nonfinite(self) -> nonfinite.NonFinite:
    """The operation that made the first NaN or infinity, and out of what.

    Raises:
      RuntimeError: if the loss is not the same when it is evaluated again.
    """
    return culprits.find(self.subject)

  def try_cures(
    self, steps: int = 20, batches: Iterable[tuple[Any, ...]] | None = None
  ) -> cures.Cures:
    """Trains for a few steps with one change at a time, and compares.

    Args:
      steps: how many, for each change, with the optimizer that was given, or
        gradient descent.
      batches: what comes after the model in the loss's arguments, for each
        step; what was examined by default.

    Raises:
      ValueError: if there is no step, or a batch is not like the one examined.
    """
    return cures.try_cures(self.subject, self.optimizer, steps, batches)

  def to_text(
    self, width: int = _WIDEST, max_rows: int | None = _MOST_ROWS
  ) -> str:
    """Writes the table of modules, with the findings below it.

    Args:
      width: number of characters in a line, of at least 40.
      max_rows: how many modules are shown: the worst, and the first and last
        of each kind; None shows all.

    Raises:
      ValueError: if `width` or `max_rows` is too small.
    """
    most = max(len(self._lines), 1) if max_rows is None else max_rows
    rows = table.render(self._lines, width, most)
    head = f'{self._summary}\n{self._diagnosis.headline}'
    return f'{head}\n\n{rows}\n\n{self._diagnosis.to_text(width)}'

  def plot(self) -> 'figure_lib.Figure':
    """Draws what flows forward and back over depth; a matplotlib figure."""
    from jaxdl.x_ray import figure

    return figure.draw(self._lines)

  def to_xarray(self) -> 'xr.Dataset':
    """All that was measured, with dimensions `module` and `parameter`."""
    from jaxdl.x_ray import dataset

    return dataset.make(self.examination, self._diagnosis.findings)

  def save_html(self, path: str | os.PathLike[str]) -> None:
    """Writes one page that needs nothing but itself.

    Args:
      path: of the file, in a folder that exists.

    Raises:
      OSError: if it can't be written.
    """
    from jaxdl.x_ray import page

    document = page.render(self._summary, self._diagnosis, self._lines)
    page.save(document, path)

  def __str__(self) -> str:
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    return self.to_text(min(max(columns, _NARROWEST), _WIDEST))

  __repr__ = __str__

  def _repr_html_(self) -> str:
    from jaxdl.x_ray import page

    return page.fragment(
      self._summary, self._diagnosis, self._lines, _MOST_ROWS
    )

  @functools.cached_property
  def _diagnosis(self) -> answer.Diagnosis:
    findings = diagnosis.diagnose(self.examination)
    findings = culprits.explained(findings, self.subject)
    return answer.Diagnosis(self.examination, findings)

  @functools.cached_property
  def _lines(self) -> tuple[lines_lib.Line, ...]:
    return lines_lib.of(self.examination, self._diagnosis.findings)

  @property
  def _summary(self) -> str:
    parameters = self.examination.parameters
    numbers = sum(math.prod(p.shape) for p in parameters)
    modules = {m for row in self.examination.rows for m in row.modules}
    return ', '.join(
      [
        f'Loss {formatting.number(self.examination.loss)}',
        formatting.count(len(modules - {''}), 'module'),
        formatting.count(numbers, 'parameter'),
      ]
    )
