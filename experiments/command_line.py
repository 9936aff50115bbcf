"""The shell that every experiment runs in: flags, help, errors, JAX's settings.

An experiment ends in

  if __name__ == '__main__':
    command_line.run(main)

and imports JAX and jaxdl inside `main`, so that `--help` and a mistyped flag
are answered at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import errno
import os
import pathlib
import signal
import sys
import textwrap
from typing import Any, NoReturn

from absl import app
from absl import flags
from absl import logging

_MATMUL_PRECISION = flags.DEFINE_enum(
  'matmul_precision',
  'float32',
  ['float32', 'tensorfloat32', 'bfloat16', 'default'],
  'Precision of matrix products. GPUs and TPUs are faster below float32, and '
  'their gradient norms then show their rounding; on a CPU all are equal.',
)

# Beside jaxdl, they say in an error what was wrong with their input.
_SHELLS = tuple(
  pathlib.Path(__file__).resolve().parents[1] / package
  for package in ('experiments', 'benchmarks')
)
_MACHINE = 'Machine'
_USAGE_ERROR = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_BROKEN_PIPE = 141  # 128 + SIGPIPE.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Sections = Mapping[str, Sequence[flags.FlagHolder]]


def run(
  main: Callable[[list[str]], Any],
  *,
  sections: Sections | None = None,
  arguments: str = '',
  script: str = './run.sh',
) -> NoReturn:
  """Runs an experiment's `main` and exits.

  A user's mistake ends in one line on stderr and status 2: a flag that absl
  refuses, a file that cannot be opened, a full disk, or a ValueError, TypeError
  or OSError that a `raise` in our own code states. Everything else is a bug,
  and shows its traceback. Ctrl-C ends in status 130 and the message of the
  KeyboardInterrupt, which `main` may catch and raise anew to say where its work
  is kept. It also ends where a `head` that its output goes to has seen enough.

  Args:
    main: takes what is left of the command line after its flags.
    sections: headings of the help page, each with the flags below it; flags of
      the experiment that are in none come first.
    arguments: what `main` takes beside flags, as the help page should name it,
      such as `RECORD`; empty if it takes nothing.
    script: what comes before the name on the help page.
  """
  name = pathlib.Path(sys.argv[0]).stem

  def parse(argv: list[str]) -> list[str]:
    before_dashes = argv[: argv.index('--')] if '--' in argv else argv
    if {'--help', '-help', '-h'} & set(before_dashes):
      print(help_page(f'{script} {name}', main, sections or {}, arguments))
      sys.exit(0)
    try:
      rest = flags.FLAGS(argv)
    except flags.Error as error:
      _exit(name, f'{error} (--help lists the flags)', _USAGE_ERROR)
    _set_default_verbosity()
    if rest[1:] and not arguments:
      hint = 'flags begin with --' if '=' in rest[1] else 'it takes flags only'
      _exit(name, f"unexpected argument '{rest[1]}'; {hint}", _USAGE_ERROR)
    return rest

  def guarded(argv: list[str]) -> Any:
    try:
      result = main(argv)
      sys.stdout.flush()
      return result
    except KeyboardInterrupt as error:
      signal.signal(signal.SIGINT, signal.SIG_DFL)  # A second ends at once.
      _exit(name, str(error) or 'interrupted', _INTERRUPTED)
    except BrokenPipeError:  # Whoever read the output has seen enough.
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
      sys.exit(_BROKEN_PIPE)
    except (ValueError, TypeError, OSError) as error:
      message = _mistake(error)
      if message is None:
        raise
      _exit(name, message, _USAGE_ERROR)

  app.run(guarded, flags_parser=parse)
  sys.exit(0)


def set_defaults(**defaults: Any) -> None:
  """Gives flags that experiments share other defaults, before they are parsed.

  Args:
    **defaults: by the name of the flag.
  """
  for name, value in defaults.items():
    flags.FLAGS.set_default(name, value)


def configure_jax() -> None:
  """Sets JAX up for a study; call it in `main`, before the first computation.

  - Each usable core of the host becomes a device, since XLA runs many small
    programs side by side faster than one after another on many threads. A count
    in XLA_FLAGS or JAX_NUM_CPU_DEVICES takes precedence.
  - Compiled programs are kept in the user's cache, unless
    JAX_COMPILATION_CACHE_DIR names another place, and shared by later runs. One
    that cannot be written to is said, and done without.
  - Matrix products have the precision that `--matmul_precision` names.
  """
  import jax

  if 'xla_force_host_platform_device_count' not in os.environ.get(
    'XLA_FLAGS', ''
  ) and not os.environ.get('JAX_NUM_CPU_DEVICES'):
    jax.config.update('jax_num_cpu_devices', usable_cores())
  if not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    jax.config.update('jax_compilation_cache_dir', _compilation_cache())
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', 0)
  jax.config.update('jax_default_matmul_precision', _MATMUL_PRECISION.value)


def _compilation_cache() -> str | None:
  """Returns where compiled programs are kept; None, if nowhere they can be."""
  from jaxdl.sweep import claim

  base = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
  try:
    directory = base.expanduser() / 'jaxdl' / 'compilation'
    claim.check_writable(directory)
  except (RuntimeError, ValueError):  # A user may have no home.
    print(
      f'cannot write to the cache {base}, so each run compiles anew; to keep '
      'what is compiled, set XDG_CACHE_HOME to a folder that you may write to',
      file=sys.stderr,
    )
    return None
  return str(directory)


def usable_cores() -> int:
  """Returns how many cores this process may use: affinity and cgroup quota."""
  if hasattr(os, 'sched_getaffinity'):
    cores = len(os.sched_getaffinity(0))
  else:
    cores = os.cpu_count() or 1
  quota_file = pathlib.Path('/sys/fs/cgroup/cpu.max')
  if quota_file.is_file():
    quota, period = quota_file.read_text().split()
    if quota != 'max':
      cores = min(cores, max(1, round(int(quota) / int(period))))
  return cores


def help_page(
  command: str,
  main: Callable[[list[str]], Any],
  sections: Sections,
  arguments: str = '',
) -> str:
  """Returns an experiment's help: its docstring, then its flags and defaults.

  Flags of absl and of libraries are left to `--helpfull`.
  """
  own = flags.FLAGS.flags_by_module_dict().get(sys.argv[0], [])
  grouped = {holder.name for group in sections.values() for holder in group}
  loose = [flag for flag in own if flag.name not in grouped]
  groups = {'Flags': loose} if loose else {}
  for title, holders in sections.items():
    groups[title] = [flags.FLAGS[holder.name] for holder in holders]
  groups[_MACHINE] = [flags.FLAGS[_MATMUL_PRECISION.name]]

  usage = ' '.join(filter(None, [command, '[flags]', arguments]))
  lines = [(main.__globals__['__doc__'] or '').strip(), '', f'Usage: {usage}']
  for title, group in groups.items():
    lines += ['', f'{title}:']
    for flag in group:
      lines += _describe(flag)
  lines += ['', 'Every flag, with those of the libraries: --helpfull']
  return '\n'.join(lines)


def _set_default_verbosity() -> None:
  """Keeps libraries' remarks off the screen, unless `--verbosity` asks."""
  verbosity = flags.FLAGS['verbosity']
  if verbosity.using_default_value:
    verbosity.value = logging.WARNING
    verbosity.using_default_value = False  # Or absl.app sets its own.


def _describe(flag: flags.Flag) -> Iterator[str]:
  """Yields a flag's lines on the help page."""
  text = ' '.join((flag.help or '').split())
  if flag.boolean:
    yield f'  --{flag.name}'
    text += f' On by default: --no{flag.name}.' if flag.default else ''
  else:
    yield f'  {flag.serialize() or f"--{flag.name}=..."}'
  yield from textwrap.wrap(
    text, 72, initial_indent=6 * ' ', subsequent_indent=6 * ' '
  )


def _mistake(error: ValueError | TypeError | OSError) -> str | None:
  """Returns what a user did wrong in one line, or None if we did it."""
  if isinstance(error, OSError):
    if error.filename is not None:
      return f'{error.strerror}: {error.filename}'
    if error.errno in _FULL:
      return f'{error.strerror}; make room and run it again'
  from jaxdl import refusals

  return str(error) if refusals.is_refusal(error, *_SHELLS) else None


def _exit(name: str, message: str, status: int) -> NoReturn:
  print(f'{name}: {" ".join(message.split())}', file=sys.stderr)
  sys.exit(status)
