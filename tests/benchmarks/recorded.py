"""A record of benchmarks that nobody ran, for tests of table and figures."""

from benchmarks import results
from benchmarks import running

MACHINE = results.Machine('Imaginary 9000', cores=2, usable=2, load=0.1)
VERSIONS = {'python': '3.11.7', 'jax': '0.10.2', 'torch': '2.13.0'}

STUDY = results.Measurement(
  'the study of 112 networks',
  's',
  (
    results.Side('jaxdl', (200.0, 220.0, 210.0), (400.0, 440.0, 420.0)),
    results.Side('PyTorch', (400.0, 330.0, 420.0), (800.0, 660.0, 840.0)),
  ),
  (
    results.Ratio(
      'the study against a loop',
      'PyTorch',
      'jaxdl',
      results.Kind.SPEED,
      goal=3.0,
    ),
  ),
)
OVERHEAD = results.Measurement(
  'a step',
  'ms',
  (results.Side('everything', (6.3,)), results.Side('loss alone', (6.0,))),
  (
    results.Ratio(
      'a step that records `everything`',
      'everything',
      'loss alone',
      results.Kind.COST,
      goal=1.07,
    ),
    results.Ratio(
      'the same | without a goal',
      'everything',
      'loss alone',
      results.Kind.COST,
    ),
  ),
)
COUNTS = tuple(
  results.Measurement(
    f'{activation}, 3.6 powers of ten lost',
    'steps',
    (
      results.Side('adam', (86,)),
      results.Side('gradient descent', (600,), at_least=True),
    ),
  )
  for activation in ('relu', 'tanh')
)


def result(benchmark, *measurements, **fields):
  """Returns a result with these measurements."""
  defaults = {
    'question': f'What does {benchmark} ask?',
    'command': f'./run.sh benchmark {benchmark}',
    'date': '2026-11-28T09:00:00+00:00',
    'seconds': 60.0,
    'machine': MACHINE,
    'versions': VERSIONS,
  }
  return results.Result(
    benchmark=benchmark, measurements=measurements, **{**defaults, **fields}
  )


def record(**fields):
  """Returns a record of three benchmarks."""
  three = (
    result('headline', STUDY),
    result('overhead', OVERHEAD),
    result('vanishing', *COUNTS),
  )
  return running.Record(**{'quick': False, 'results': three, **fields})
