"""Is a stand-in told from a benchmark?"""

import sys
import time

from absl import flags
from benchmarks import reporting

from tests.benchmarks import recorded

_DOES = flags.DEFINE_enum(
  'does', 'end', ['end', 'fail', 'hang'], 'What becomes of it.'
)


def main(_):
  """Reports what was known before."""
  if _DOES.value == 'fail':
    raise ValueError('there is no such thing; do without')
  if _DOES.value == 'hang':
    print('hanging', flush=True)
    time.sleep(600)
  result = reporting.report([recorded.OVERHEAD, *recorded.COUNTS])
  assert result.measurements[0] is recorded.OVERHEAD, sys.argv


if __name__ == '__main__':
  reporting.run(main)
