"""One of several processes that run the linear study together.

  python joined_study.py OUT PORT INDEX COUNT NUM_STEPS

On its one device it trains its own cells. It tells on stdout when a chunk is
recorded. Ctrl-C stops it, and the others with it.
"""

import signal
import sys
import threading

import jax
from jaxdl import sweep
from jaxdl.sweep import processes

from tests.sweep import linear_study

_HEARTBEAT_SECONDS = 3


def main(out: str, port: str, index: str, count: str, num_steps: str) -> None:
  """Joins the others, and begins the study or goes on with it."""
  jax.config.update('jax_num_cpu_devices', 1)
  jax.config.update('jax_enable_recoverability', True)
  jax.distributed.initialize(
    f'127.0.0.1:{port}',
    int(count),
    int(index),
    heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
  )
  study = linear_study.plan(
    num_devices=int(count), num_steps=int(num_steps), chunk_steps=2
  )

  def told(event: sweep.Event) -> None:
    print(event.program.first_cell, event.steps_done, flush=True)

  stop = threading.Event()
  signal.signal(signal.SIGINT, lambda *_: stop.set())
  try:
    outcome = linear_study.run(
      study, out, resume=True, progress=told, stop=stop.is_set
    )
    print('finished' if outcome.finished else 'stopped', flush=True)
  finally:
    processes.leave()


if __name__ == '__main__':
  main(*sys.argv[1:])
