"""Gives the flags of one experiment any values; run in a process of its own.

  python -m tests.experiments.any_flags gradient_flow

Each time, the work begins, or the experiment ends in one line and status 2.
What begins is not done. Flags are global to a process, so it is not a test
itself, but what `any_flags_test.py` runs.
"""

import contextlib
import importlib
import io
import os
import sys
import tempfile

from absl import flags
import hypothesis
from hypothesis import strategies

# What a value may begin as, or end as.
_PARTS = (
  '', '0', '-1', '2', '1.5', 'nan', 'inf', '1e400', '1e39', '-0', '9' * 30,
  'none', 'relu', 'batch', 'norm', 'identity', 'adam', 'mlp', 'cnn', 'crop',
  'own', 'float32', 'digits', '..', '/dev/null', '~', '%s', '<script>', '[/]',
)  # fmt: skip
_TEXTS = strategies.text(
  strategies.characters(exclude_categories=('C', 'Zl', 'Zp')), max_size=9
)
_VALUES = strategies.builds(
  lambda parts, between: between.join(parts),
  strategies.lists(strategies.sampled_from(_PARTS) | _TEXTS, max_size=3),
  strategies.sampled_from(',:+='),
)
# A list that is as long as its value says would be the work already.
_LEFT_OUT = ('num_seeds',)


class _BegunError(BaseException):
  """The work would begin."""


def _begin(*_: object, **__: object) -> None:
  raise _BegunError


def main(name: str) -> None:
  """Runs an experiment again and again."""
  sys.argv = [f'experiments/{name}.py']
  module = importlib.import_module(f'experiments.{name}')
  from experiments import command_line
  from jaxdl import sweep

  sweep.run = _begin
  ours = ('experiments.', sys.argv[0])
  names = [
    flag.name
    for where, of_module in flags.FLAGS.flags_by_module_dict().items()
    for flag in of_module
    if where.startswith(ours) and flag.name not in _LEFT_OUT
  ]
  outcomes = set()

  @hypothesis.settings(deadline=None, derandomize=True, max_examples=120)
  @hypothesis.given(
    strategies.lists(
      strategies.tuples(strategies.sampled_from(sorted(names)), _VALUES),
      min_size=1,
      max_size=2,
    )
  )
  def run(given):
    for flag in flags.FLAGS:
      flags.FLAGS[flag].unparse()
    flags.FLAGS.unparse_flags()
    sys.argv[1:] = [f'--{flag}={value}' for flag, value in given]
    errors = io.StringIO()
    try:
      with contextlib.redirect_stderr(errors):
        with contextlib.redirect_stdout(io.StringIO()):
          command_line.run(module.main)
    except _BegunError:
      outcomes.add('begun')
    except SystemExit as end:
      said = errors.getvalue()
      assert end.code == 2, (end.code, said)
      assert said.startswith(f'{name}: ') and said.endswith('\n'), said
      assert len(said.splitlines()) == 1, said
      outcomes.add('refused')
    assert not os.listdir(), 'something was written'

  with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    run()
  print(*sorted(outcomes))


if __name__ == '__main__':
  main(*sys.argv[1:])
