"""Which errors are refusals: what a `raise` of jaxdl says of its input.

Everything else is a fault, to be shown with its traceback.
"""

import dis
import pathlib
import types

_LIBRARY = pathlib.Path(__file__).resolve().parents[1]


def is_refusal(error: BaseException) -> bool:
  """Returns whether a `raise` in jaxdl states an error.

  The innermost frame is of jaxdl then, and stands at a `raise`. An error from
  within an extension, or from a frame that JAX has hidden, leaves it at a call.
  A traceback does not outlive pickle, so this is asked where the error arose.

  Args:
    error: as it was caught.
  """
  trace = error.__traceback__
  while trace is not None and trace.tb_next is not None:
    trace = trace.tb_next
  return trace is not None and _is_raise(trace)


def _is_raise(trace: types.TracebackType) -> bool:
  """Returns whether a frame is of jaxdl and stands at a `raise`."""
  code = trace.tb_frame.f_code
  is_ours = pathlib.Path(code.co_filename).resolve().is_relative_to(_LIBRARY)
  return is_ours and (
    dis.opname[code.co_code[trace.tb_lasti]] == 'RAISE_VARARGS'
  )
