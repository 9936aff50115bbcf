"""The report of an X-ray: `print(jaxdl.xray(loss_fn, model, batch))`."""

from collections.abc import Callable
from typing import Any

from jaxdl.x_ray import examination as examination_lib
import optax


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
    loss_fn: maps `(model, *args)` to a scalar, or `(scalar, aux)` if `has_aux`;
      what is given to `jax.grad`, `nnx.grad` or `eqx.filter_grad`.
    model: an `nnx.Module`, an `equinox.Module`, the variables of a Linen or
      Haiku model, or any pytree of parameters. It is left as it is.
    *args: further arguments of the loss: the batch, keys.
    has_aux: whether the loss returns auxiliary data.
    optimizer: whose update is measured beside the parameters.
    opt_state: its state, of the model's parameters; that of a first step by
      default.

  Raises:
    TypeError: if the loss is no real scalar, or the model has no parameters.
  """
  subject = examination_lib.subject(loss_fn, model, args, has_aux)
  return Report(subject, examination_lib.examine(subject, optimizer, opt_state))


class Report:
  """What an X-ray shows.

  Attributes:
    subject: what was examined.
    examination: what was measured.
  """

  def __init__(
    self,
    subject: examination_lib.Subject,
    examination: examination_lib.Examination,
  ):
    self.subject = subject
    self.examination = examination
