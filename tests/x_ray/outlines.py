"""What rows a model has: `blocks/0/dense kernel bias`, a row in a line."""

import re

import jax
from jaxdl.tracing import probing
from jaxdl.tracing import statistics
from jaxdl.x_ray import examination
from jaxdl.x_ray import results
import numpy as np


def outline(loss, model, *args, has_aux=False):
  """The rows of a model, with their parameters, from its trace alone.

  Args:
    loss: of the model and further arguments.
    model: of any library.
    *args: further arguments.
    has_aux: whether the loss returns auxiliary data.

  Returns:
    Names, without iterations after the first; behind each the parameters that
    are used there, relative to the name where they are the module's own.
  """
  found = examined(loss, model, *args, has_aux=has_aux)
  return [
    ' '.join([row.name, *_own(row, found)])
    for row in found.rows
    if not re.search(r'\[[1-9]', row.name)
  ]


def examined(loss, model, *args, has_aux=False):
  """An examination in which all numbers are zero: nothing was measured."""
  subject = examination.subject(loss, model, args, has_aux)
  num_numbers = len(results.Parameter._fields) - 4
  measured = examination.Measured(
    loss=np.zeros([]),
    profile={site.paths[0]: _signal(site) for site in subject.sites},
    numbers=[(0.0,) * num_numbers for _ in subject.adapted.params],
    arguments={},
  )
  return examination.read(subject, measured)


def _signal(site):
  """Zeros, with the leading axes of the scans around a value."""
  zeros = np.zeros(site.lengths)
  value = statistics.Forward(*[zeros] * len(statistics.Forward._fields))
  return probing.Signal(
    {'value': value, 'representation': zeros, 'constant': zeros},
    statistics.Backward(*[zeros] * len(statistics.Backward._fields)),
  )


def zeros(shapes):
  """Arrays of these shapes: a model that need not be initialized."""
  is_shape = lambda x: isinstance(x, jax.ShapeDtypeStruct)
  return jax.tree.map(
    lambda x: np.zeros(x.shape, x.dtype) if is_shape(x) else x, shapes
  )


def unattached(found):
  """The parameters that no row has."""
  attached = {i for row in found.rows for i in row.parameters}
  return [
    parameter.name
    for i, parameter in enumerate(found.parameters)
    if i not in attached
  ]


def lines(text):
  """The lines of an expected outline."""
  return [line.strip() for line in text.strip().splitlines()]


def _own(row, found):
  module = re.sub(r'[\[#].*', '', row.name) + '/'
  return [found.parameters[i].name.removeprefix(module) for i in row.parameters]
