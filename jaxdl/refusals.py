"""Which errors are refusals: what a `raise` of ours says of its input.

Everything else is a fault, to be shown with its traceback.
"""

import dis
import pathlib
import types

_LIBRARY = pathlib.Path(__file__).resolve().parent


def is_refusal(error: BaseException, *packages: pathlib.Path) -> bool:
  """Returns whether a `raise` in jaxdl, or another package, states an error.

  The innermost frame is of the package then, and stands at a `raise`. An error
  from within an extension, or from a frame that JAX has hidden, leaves it at a
  call. A traceback does not outlive pickle, so this is asked where the error
  arose.

  Args:
    error: as it was caught.
    *packages: folders of packages that refuse too, beside jaxdl.
  """
  trace = error.__traceback__
  while trace is not None and trace.tb_next is not None:
    trace = trace.tb_next
  return trace is not None and _is_raise(trace, (_LIBRARY, *packages))


def _is_raise(
  trace: types.TracebackType, packages: tuple[pathlib.Path, ...]
) -> bool:
  """Returns whether a frame is of a package and stands at a `raise`."""
  code = trace.tb_frame.f_code
  path = pathlib.Path(code.co_filename).resolve()
  return any(path.is_relative_to(package) for package in packages) and (
    dis.opname[code.co_code[trace.tb_lasti]] == 'RAISE_VARARGS'
  )
