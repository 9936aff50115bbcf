"""Examination: one pass forward and back, every module of a model measured."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import jaxpr
from jaxdl.tracing import parameters as parameters_lib
from jaxdl.tracing import probing
from jaxdl.tracing import sites
from jaxdl.tracing import statistics
from jaxdl.x_ray import adapters
from jaxdl.x_ray import naming
from jaxdl.x_ray import optimizer_state
from jaxdl.x_ray import usage
from jaxdl.x_ray.inspection import facts
from jaxdl.x_ray.inspection import representation
from jaxdl.x_ray.inspection import structure
from jaxdl.x_ray.results import Examination as Examination
from jaxdl.x_ray.results import Input as Input
from jaxdl.x_ray.results import Moments as Moments
from jaxdl.x_ray.results import Parameter as Parameter
from jaxdl.x_ray.results import Row as Row
import numpy as np
import optax


class Subject(NamedTuple):
  """What is examined: a traced loss with the arrays that it was traced for.

  Attributes:
    adapted: the model.
    args: further arguments of the loss.
    traced: the loss.
    has_aux: whether the loss returns `(scalar, aux)`.
    structure: what its graph tells.
  """

  adapted: adapters.Adapted
  args: tuple[Any, ...]
  traced: probing.Traced
  has_aux: bool
  structure: structure.Structure

  @property
  def sites(self) -> tuple[sites.Site, ...]:
    """Where is measured: at the rows' sites, then at others."""
    return self.traced.sites + self.structure.sites


_WHOLE = '(model)'
_WHY_HIDDEN = {
  'while': 'in a while loop, which has no derivative in reverse',
  'custom_jvp_call': 'in a function with a derivative of its own',
  'custom_vjp_call': 'in a function with a derivative of its own',
}


def subject(
  loss_fn: Callable[..., Any], model: Any, args: tuple[Any, ...], has_aux: bool
) -> Subject:
  """Traces a loss, once.

  Args:
    loss_fn: maps `(model, *args)` to a scalar, or `(scalar, aux)`.
    model: see `adapters.adapt`.
    args: its further arguments.
    has_aux: whether the loss returns auxiliary data.

  Raises:
    TypeError: if the loss is no scalar of floating point, or the model has no
      parameters.
  """
  return subject_of(adapters.adapt(loss_fn, model), args, has_aux)


def subject_of(
  adapted: adapters.Adapted, args: tuple[Any, ...], has_aux: bool
) -> Subject:
  """Traces the loss of a model that is adapted already; see `subject`.

  Args:
    adapted: the model.
    args: further arguments of its loss.
    has_aux: whether the loss returns auxiliary data.

  Raises:
    TypeError: if the loss is no scalar of floating point.
  """
  traced = probing.trace(
    adapted.loss,
    (adapted.params, adapted.rest, *args),
    {},
    num_parameters=len(adapted.params),
  )
  traced = traced._replace(sites=_of_interest(traced, len(adapted.params)))
  _check_scalar(traced, has_aux)
  read = structure.structure(traced, len(adapted.params), len(adapted.rest))
  return Subject(adapted, args, traced, has_aux, read)


def examine(
  subject: Subject,
  optimizer: optax.GradientTransformation | None = None,
  opt_state: Any = None,
) -> Examination:
  """Runs a loss forward and back, once, and measures.

  The gradients stay within the one compiled program, so beside them nothing of
  the size of the model is made.

  Args:
    subject: what `subject` returned.
    optimizer: whose updates are measured; None measures none.
    opt_state: its state, of the user's model; that of a first step by default.
  """
  if optimizer is not None and opt_state is not None:
    params = subject.adapted.params
    opt_state = optimizer_state.of(optimizer, opt_state, params)
  measured = jax.jit(measuring(subject, optimizer))(
    subject.adapted.params, arrays(subject.adapted, subject.args), opt_state
  )
  return read(subject, jax.device_get(measured))


class Measured(NamedTuple):
  """What a program measures, before it is read.

  Attributes:
    loss: its value.
    profile: signals by scope.
    numbers: of each parameter, those of a `Parameter` in their order.
    arguments: statistics of those that enter first layers, by key.
  """

  loss: jax.Array
  profile: Mapping[str, probing.Signal]
  numbers: list[tuple[jax.Array, ...]]
  arguments: dict[int, statistics.Forward]


def measuring(
  subject: Subject, optimizer: optax.GradientTransformation | None = None
) -> Callable[..., Measured]:
  """Makes the pure function that measures: to be compiled, mapped, repeated.

  Args:
    subject: what `subject` returned.
    optimizer: whose updates are measured; None measures none.

  Returns:
    A function of the model's parameters, of what `arrays` returns, and of the
    optimizer's state, where None stands for that of a first step.
  """

  def measure(params, arrays, opt_state=None):
    value, (grads,), profile = probing.measure(
      subject.traced._replace(sites=subject.sites),
      lambda found: structure.taps(found, subject.structure),
      (params, arrays),
      {},
      has_aux=subject.has_aux,
    )
    loss = value[0] if subject.has_aux else value
    updates = _updates(optimizer, opt_state, grads, params)
    given = [*params, *arrays]
    return Measured(
      loss,
      profile,
      list(map(_numbers, params, grads, updates)),
      {
        key: _statistics(given[i])
        for key, i in subject.structure.arguments.items()
      },
    )

  return measure


def arrays(adapted: adapters.Adapted, args: tuple[Any, ...]) -> list[jax.Array]:
  """What a loss depends on beside its parameters.

  Args:
    adapted: a model.
    args: further arguments of its loss.
  """
  return evaluation.array_leaves((adapted.rest, *args))


def read(subject: Subject, measured: Measured) -> Examination:
  """Puts what was measured into words.

  Args:
    subject: what was examined.
    measured: what `measuring` returned, on the host.
  """
  return reader(subject)(measured)


def reader(subject: Subject) -> Callable[[Measured], Examination]:
  """Makes what reads many measurements of one subject; see `read`.

  Args:
    subject: what was examined.
  """
  adapted = subject.adapted
  graph = subject.traced.graph
  parameters = range(len(adapted.params))
  uses = parameters_lib.first_uses(graph, parameters)
  scopes = [path for site in subject.traced.sites for path in site.paths]
  names = naming.Naming(uses, adapted.names, scopes)
  if not jaxpr.has_scopes(graph):
    uses = parameters_lib.first_uses(
      jaxpr.with_lines_as_scopes(graph), parameters
    )
  hidden = {
    names.module(scope): _WHY_HIDDEN[primitive]
    for scope, primitive in sites.hidden(graph).items()
  }

  def read_one(measured):
    return Examination(
      loss=float(measured.loss),
      rows=tuple(_rows(subject, measured.profile, names, uses)),
      parameters=tuple(
        Parameter._make(
          (name, x.shape, str(x.dtype), *map(float, numbers), obstacle)
        )
        for name, x, numbers, obstacle in zip(
          adapted.names,
          adapted.params,
          measured.numbers,
          subject.structure.obstacles,
          strict=True,
        )
      ),
      hidden=hidden,
      inputs=tuple(_inputs(subject, measured, names)),
      moments=tuple(_moments(subject, measured, names)),
      broadcasts=subject.structure.broadcasts,
    )

  return read_one


def _of_interest(
  traced: probing.Traced, num_parameters: int
) -> tuple[sites.Site, ...]:
  """Without modules that have no parameters and no effect on the loss.

  Such are the moving averages that a normalization keeps.
  """
  uses = parameters_lib.first_uses(traced.graph, range(num_parameters))
  return tuple(s for s in traced.sites if s.is_live or usage.of_site(s, uses))


def _inputs(
  subject: Subject, measured: Measured, names: naming.Naming
) -> Iterator[Input]:
  avals = facts.avals(subject.traced.graph)
  for key, scope in subject.structure.inputs.items():
    found = structure.signal(measured.profile, subject.sites, key)
    forward = found['value'] if found else measured.arguments.get(key)
    if forward is not None:
      # In a scan, of all its iterations.
      largest = np.argmax(forward.rms)
      forward = jax.tree.map(lambda x, i=largest: np.ravel(x)[i], forward)
      aval = avals[key]
      name = names.module(scope) or _WHOLE
      yield Input(name, aval.shape, str(aval.dtype), forward)


def _moments(
  subject: Subject, measured: Measured, names: naming.Naming
) -> Iterator[Moments]:
  avals = facts.avals(subject.traced.graph)
  for found in subject.structure.normalizations:
    signal = structure.signal(measured.profile, subject.sites, found.key)
    if signal:
      yield Moments(
        names.module(found.path) or _WHOLE,
        found.source,
        avals[found.key].shape,
        found.axes,
        float(np.max(signal['constant'])),
      )


def _statistics(x: jax.Array) -> statistics.Forward:
  measure = statistics.forward()
  return measure.finish(measure.reduce(x))


def _updates(
  optimizer: optax.GradientTransformation | None,
  opt_state: Any,
  grads: Sequence[jax.Array],
  params: Sequence[jax.Array],
) -> Sequence[jax.Array | None]:
  if optimizer is None:
    return [None] * len(params)
  if opt_state is None:
    opt_state = optimizer.init(params)
  return optimizer.update(grads, opt_state, params)[0]


def _numbers(
  x: jax.Array, gradient: jax.Array, update: jax.Array | None
) -> tuple[jax.Array, ...]:
  """The numbers of a `Parameter`, in their order."""
  norm = statistics.norm(x)
  moved = jnp.full([], jnp.nan) if update is None else statistics.norm(update)
  return (
    norm,
    statistics.norm(gradient),
    jnp.max(jnp.abs(gradient), initial=0),
    jnp.mean(gradient == 0),
    jnp.sum(~jnp.isfinite(gradient)),
    moved / norm,
    representation.parallel(x, gradient),
  )


def _rows(
  subject: Subject,
  profile: Mapping[str, probing.Signal],
  names: naming.Naming,
  uses: usage.Uses,
) -> Iterator[Row]:
  """One row for each value and each iteration of the scans around it."""
  found, gated = subject.traced.sites, subject.structure.gated
  before = usage.before_activations(found, uses)
  times: dict[str, int] = {}
  modules = {}
  for site in found:
    name = next(filter(None, map(names.module, site.paths)), _WHOLE)
    time = times[name] = times.get(name, 0) + 1
    modules[site.key] = name if time == 1 else f'{name}#{time}'
  for site, iteration in _in_order(found, 0):
    signal = jax.tree.map(lambda s, i=iteration: s[i], profile[site.paths[0]])
    yield Row(
      modules[site.key] + ''.join(f'[{i}]' for i in iteration),
      tuple(dict.fromkeys(map(names.module, site.paths))),
      site.shape,
      str(site.dtype),
      site.activation,
      site.source,
      site.is_cut,
      usage.of_site(site, uses),
      signal.forward['value'],
      signal.backward,
      signal.forward['representation'],
      not gated.isdisjoint(scan.key for scan in site.scans),
      before.get(site.key, ()),
    )


def _in_order(
  found: Iterable[sites.Site], depth: int
) -> Iterator[tuple[sites.Site, tuple[int, ...]]]:
  """Sites with the iterations of their scans, as they are computed."""
  key = lambda site: site.scans[depth : depth + 1]
  for scans, within in itertools.groupby(found, key):
    if not scans:
      yield from ((site, ()) for site in within)
      continue
    (scan,) = scans
    inner = list(_in_order(within, depth + 1))
    steps = range(scan.length)
    for i in reversed(steps) if scan.reverse else steps:
      yield from ((site, (i, *rest)) for site, rest in inner)


def _check_scalar(traced: probing.Traced, has_aux: bool) -> None:
  tree = traced.out_tree
  if has_aux and len(tree.children()) != 2:
    raise TypeError(
      f'with has_aux the loss must return (loss, aux); it returns {tree}'
    )
  value = tree.children()[0] if has_aux else tree
  if not jax.tree_util.treedef_is_leaf(value):
    raise TypeError(
      f'the loss must return one number; it returns {value}. If it returns '
      '(loss, aux), give has_aux=True'
    )
  output = traced.graph.outputs[0]
  aval: Any = (
    traced.graph.avals[output] if isinstance(output, int) else output.aval
  )
  if aval.shape or not jnp.issubdtype(aval.dtype, jnp.floating):
    raise TypeError(
      f'the loss must be one real number; it is {aval.str_short()}; take a '
      'mean or a sum'
    )
