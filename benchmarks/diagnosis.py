"""Does a diagnosis find the faults that were put into models, and no others?

Labelled cases of injected faults and of healthy models, of several libraries;
each is examined for several seeds. Thresholds were tuned on the small models
and the first seeds; what is printed is of larger models and other seeds, unless
`--tuning` asks for the former. Beside it, a baseline of fixed thresholds on the
norms of the parameters' gradients: below 1e-7 vanishing, above 1e4 exploding.

  ./run.sh benchmark diagnosis --mistakes
"""

from collections.abc import Callable, Iterator, Sequence
import functools
import math
from typing import Any, NamedTuple

from absl import flags
from benchmarks import fault_cases
from benchmarks import fault_models
from benchmarks import reporting
from benchmarks import results as results_lib
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import examination as examination_lib
import numpy as np
import optax

_TUNING = flags.DEFINE_bool('tuning', False, 'The cases of the tuning.')
_MISTAKES = flags.DEFINE_bool('mistakes', False, 'Tells each mistake.')
_SEEDS = flags.DEFINE_integer('seeds', 2, 'Seeds of each case.', lower_bound=1)

_VANISHED, _EXPLODED = 1e-7, 1e4  # The baseline.
_SIDES = {'found': '', 'baseline': 'baseline '}  # And how they are called.
_OPTIMIZER = optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)


class Judged(NamedTuple):
  """A case of one seed.

  Attributes:
    name: of the case.
    right: the verdicts that are right.
    found: those of the diagnosis.
    baseline: those of the fixed thresholds.
  """

  name: str
  right: frozenset[str]
  found: frozenset[str]
  baseline: frozenset[str]


class _Program(NamedTuple):
  """A compiled examination, for any parameters and batches of its shapes."""

  subject: examination_lib.Subject
  run: Callable[..., Any]


def judged(size: int, seeds: Sequence[int]) -> Iterator[Judged]:
  """Examines all cases.

  Args:
    size: of the models, 0 or 1.
    seeds: of their parameters and batches.
  """
  program = functools.cache(lambda make: _program(make(size)))
  for case in fault_cases.cases():
    for seed in seeds:
      examination = _examination(case, program(case.make), seed)
      found = diagnosis.diagnose(examination)
      yield Judged(
        f'{case.name}, seed {seed}',
        case.verdicts,
        frozenset(f.verdict for f in found),
        frozenset(_baseline(examination)),
      )


def _program(model: fault_models.Model) -> _Program:
  subject = examination_lib.subject(
    model.loss, model.model, model.batch, has_aux=False
  )
  lowered = jax.jit(examination_lib.measuring(subject, _OPTIMIZER)).lower(
    subject.adapted.params,
    examination_lib.arrays(subject.adapted, model.batch),
    _OPTIMIZER.init(subject.adapted.params),
  )
  # It takes longer to compile than to run.
  options: dict[str, str | bool] = {
    'xla_backend_optimization_level': '0',
    'xla_cpu_use_fusion_emitters': False,
  }
  return _Program(subject, lowered.compile(options))


def _examination(
  case: fault_cases.Case, program: _Program, seed: int
) -> examination_lib.Examination:
  subject = program.subject
  random = np.random.RandomState(seed)
  names = subject.adapted.names
  params = {
    name: _drawn(random, name, p)
    for name, p in zip(names, subject.adapted.params, strict=True)
  }
  params, batch = case.change(
    params, tuple(_drawn_data(random, x) for x in subject.args)
  )
  given = tuple(params[name] for name in names)
  state = _OPTIMIZER.init(given)
  state.hyperparams['learning_rate'] = jnp.float32(case.learning_rate)
  arrays = examination_lib.arrays(subject.adapted, batch)
  measured = program.run(given, arrays, state)
  return examination_lib.read(subject, jax.device_get(measured))


def _drawn(random: np.random.RandomState, name: str, p: jax.Array) -> jax.Array:
  """Other numbers of the same distribution; vectors as they are."""
  if p.ndim < 2:
    return p
  x = random.randn(*p.shape)
  if name == 'recurrent':
    return jnp.asarray(np.linalg.qr(x)[0], p.dtype)
  return jnp.asarray(x * np.std(p), p.dtype)


def _drawn_data(random: np.random.RandomState, x: jax.Array) -> jax.Array:
  if jnp.issubdtype(x.dtype, jnp.integer):
    return jnp.asarray(random.randint(0, fault_models.CLASSES, x.shape))
  return jnp.asarray(random.randn(*x.shape), x.dtype)


def _baseline(examination: examination_lib.Examination) -> Iterator[str]:
  norms = [p.gradient_norm for p in examination.parameters]
  if not math.isfinite(examination.loss) or not all(map(math.isfinite, norms)):
    yield 'nonfinite'
    return
  if min(norms) < _VANISHED:
    yield 'vanishing'
  if max(norms) > _EXPLODED:
    yield 'exploding'


def _score(
  verdicts: Sequence[str], all_judged: Sequence[Judged]
) -> tuple[results_lib.Side, ...]:
  """Precision and recall over some verdicts, with the counts, on both sides."""
  sides = []
  right = [j.right & set(verdicts) for j in all_judged]
  for field, whose in _SIDES.items():
    found = [getattr(j, field) & set(verdicts) for j in all_judged]
    both = sum(len(a & b) for a, b in zip(right, found, strict=True))
    totals = {'precision': found, 'recall': right}
    for name, sets in totals.items():
      total = sum(map(len, sets))
      share = (both / total,) if total else ()
      note = f'{both} of {total}' if total else ''
      sides.append(results_lib.Side(f'{whose}{name}', share, note=note))
  return tuple(sides)


def measurements() -> Iterator[results_lib.Measurement]:
  """Precision and recall of each verdict, then of all of them."""
  command_line.configure_jax()
  size, first = (0, 0) if _TUNING.value else (1, 1000)
  results = list(judged(size, range(first, first + _SEEDS.value)))
  healthy = [j for j in results if not j.right]
  for verdict in diagnosis.VERDICTS:
    yield results_lib.Measurement(verdict, '', _score([verdict], results))
  part = 'tuning' if _TUNING.value else 'held out'
  yield results_lib.Measurement(
    f'all verdicts, {len(results)} cases ({part})',
    '',
    _score(diagnosis.VERDICTS, results),
    note='\n'.join(_mistakes(results)) if _MISTAKES.value else '',
  )
  silent = tuple(
    results_lib.Side(
      whose.strip() or 'diagnosis',
      (sum(not getattr(j, field) for j in healthy),),
      note=f'of {len(healthy)}',
    )
    for field, whose in _SIDES.items()
  )
  yield results_lib.Measurement('healthy models left alone', '', silent)


def _mistakes(results: Sequence[Judged]) -> Iterator[str]:
  for j in results:
    if j.found != j.right:
      yield f'{j.name}: {set(j.right) or "{}"}, found {set(j.found) or "{}"}'


def main(_: Sequence[str]) -> None:
  """Reports precision and recall of each verdict, beside the baseline's."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
