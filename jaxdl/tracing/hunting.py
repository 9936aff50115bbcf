"""The first operation that is to blame for a result that isn't finite.

An operation at fault need not be to blame: the logarithm of a mask is minus
infinity on purpose, and the softmax behind it makes zeros of that. So the
question is put to the program itself. First the faults are repaired, one
operation after another in the order of execution, until the result is finite;
an operation whose faults are only the consequence of earlier ones no longer has
any by then. Then each of these operations is left alone at fault, with all
others repaired: the first that spoils the result by itself is to blame.

Constants that are NaN or infinite, such as masks, are not at fault; only if
nothing else explains the result is the operation blamed that reads one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jaxdl.tracing import faults
from jaxdl.tracing import judging
from jaxdl.tracing import spots
from jaxdl.tracing.jaxpr import Graph
import numpy as np

# A program that runs a few times: it is compiled sooner, if it runs slower.
_COMPILER_OPTIONS: dict[str, bool | int] = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
}


class Cause(NamedTuple):
  """What is to blame.

  Attributes:
    name: of the operation, `spots.name`; or the key of an input.
    iteration: of the scans around it, outermost first: the first at fault.
    bits: what it does in all iterations.
    repaired: what else was at fault, and is repaired where it is seen alone.
    outcome: while it alone is at fault, the bits of all operations that come
      to be at fault by it.
  """

  name: int
  iteration: tuple[int, ...]
  bits: int
  repaired: frozenset[int]
  outcome: dict[int, Any]


class Hunt:
  """A graph with its arguments, of which one can ask what is to blame."""

  def __init__(self, graph: Graph, args: Sequence[Any]):
    """Prepares programs; they are compiled as questions are asked."""
    self.graph = graph
    self.args = list(args)
    self.spots = spots.find(graph)
    self._constants = judging.nonfinite_constants(graph)
    self._suspects: frozenset[int] = frozenset()
    self._program = jax.jit(
      self._evaluate,
      static_argnums=(3, 4),
      compiler_options=_COMPILER_OPTIONS,
    )

  def cause(
    self,
    outputs: Sequence[int],
    allowed: frozenset[int],
    repaired: frozenset[int] = frozenset(),
  ) -> tuple[Cause | None, frozenset[int]]:
    """Finds what makes any of some outputs NaN or infinite.

    Args:
      outputs: their positions.
      allowed: names of operations, and keys of inputs, that may be blamed.
      repaired: what is repaired from the start.

    Returns:
      What is to blame, or None if the outputs are finite; and all that had to
      be repaired to make them finite.

    Raises:
      RuntimeError: if they are NaN or infinite whatever is repaired.
    """
    in_order: list[int] = []
    # With no suspects yet, the run that finds some is as good as another.
    run = before = self._run(repaired, measured=not self._suspects)
    while _is_bad(run, outputs):
      everything = repaired | {*in_order}
      name, before = self._next_fault(everything, allowed)
      in_order.append(name)
      run = self._run(everything | {name})
    everything = repaired | {*in_order}
    for name in in_order:
      is_last = name == in_order[-1]
      # With all others repaired, the last one has been seen already.
      alone = before if is_last else self._run(everything - {name})
      if is_last or _is_bad(alone, outputs):
        others = everything - {name}
        return self._caused(name, alone.faults, others, allowed), everything
    return None, everything

  def all_at_fault(
    self, names: frozenset[int], repaired: frozenset[int]
  ) -> frozenset[int]:
    """Those that were repaired, and all suspects of `names` still at fault."""
    while True:
      bits = self._run(repaired).faults
      more = {n for n in (names & bits.keys()) - repaired if np.any(bits[n])}
      if not more:
        return repaired
      repaired |= more

  def first(self, name: int, bits: Any) -> tuple[int, ...] | None:
    """The first iteration in which any bit is set; () outside of scans."""
    where = [tuple(map(int, index)) for index in np.argwhere(bits)]
    return min(where, key=lambda i: self.when(name, i)) if where else None

  def when(self, name: int, iteration: tuple[int, ...]) -> tuple[int, ...]:
    """Sorts as the operations are executed; inputs come first."""
    if name not in self.spots:
      return (-1, self.graph.inputs.index(name))
    return self.spots[name].when(iteration)

  def look(
    self, repaired: frozenset[int], wanted: frozenset[int]
  ) -> dict[int, faults.Seen]:
    """Evaluates the graph and returns the values of some operations.

    Args:
      repaired: the operations, and inputs, that are repaired.
      wanted: the names of the operations.
    """
    self._suspect(wanted)
    return jax.device_get(
      self._program(*self._asked(repaired), wanted, False).seen
    )

  def _caused(self, name, bits, others, allowed) -> Cause:
    """What is known of an operation from the run in which it alone is bad."""
    where = self.first(name, bits[name]) or ()
    outcome = {n: bits[n] for n in (allowed & bits.keys()) - others - {name}}
    return Cause(name, where, int(np.max(bits[name])), others, outcome)

  def _run(
    self, repaired: frozenset[int], measured: bool = False
  ) -> faults.Run:
    """Evaluates the graph; its outputs become their flags."""
    self._suspect(repaired)
    run = self._program(*self._asked(repaired), frozenset(), measured)
    return jax.device_get(run)

  def _suspect(self, names: Iterable[int]) -> bool:
    """Has more operations judged element by element; whether there are more."""
    before = self._suspects
    self._suspects |= frozenset(names) & self.spots.keys()
    return self._suspects != before

  def _asked(self, repaired: frozenset[int]):
    repairs = {
      name: np.full(self.spots[name].lengths, name in repaired)
      for name in self._suspects
    }
    for key in self.graph.inputs:
      repairs[key] = np.asarray(key in repaired)
    return self.args, self.graph.constants, repairs

  def _evaluate(self, args, constants, repairs, wanted, measured) -> faults.Run:
    graph = self.graph._replace(constants=constants)
    given = [
      faults.repaired(value, judging.nonfinite(value), repairs[key])
      if judging.is_inexact(value)
      else value
      for key, value in zip(graph.inputs, args, strict=True)
    ]
    question = faults.Question(repairs, self._constants, wanted, measured)
    run = faults.evaluate(graph, given, question)
    # The flags of the arguments as they were given.
    flags = dict(zip(graph.inputs, map(judging.flag, args), strict=True))
    return run._replace(
      outputs=list(map(judging.flag, run.outputs)), faults=run.faults | flags
    )

  def _next_fault(
    self, repaired: frozenset[int], allowed: frozenset[int]
  ) -> tuple[int, faults.Run]:
    """The first at fault, and the run in which it is."""
    measured = self._run(repaired, measured=True)
    flags = faults.flags_of(measured.magnitudes)
    self._suspect(self._suspicious(flags))
    while True:
      run = self._run(repaired)
      for kinds in (judging.NAN | judging.INFINITY, judging.CONSTANT):
        found = []
        for name in (allowed & run.faults.keys()) - repaired:
          where = self.first(name, run.faults[name] & kinds)
          if where is not None:
            found.append((self.when(name, where), name))
        if found:
          return min(found)[1], run
      # It hides among constants: judge whatever is not finite.
      if not self._suspect(n for n in allowed if self._is_bad_at(n, flags)):
        raise RuntimeError(
          'A value is NaN or infinite, and no operation makes it so out of '
          'finite ones; look for a kernel or a callback that writes to it.'
        )

  def _suspicious(self, flags: Mapping[int, Any]) -> set[int]:
    """Operations at fault by their flags, and those where one may hide.

    A fault hides among infinities that are there for a reason. These are bad
    before the first NaN is made; after that everything is.
    """
    at_fault, nans = set(), []
    for name, spot in self.spots.items():
      if spots.inner_graphs(spot.operation):
        continue
      bits = judging.by_flags(spot.operation, flags, self._constants)
      if np.any(bits):
        at_fault.add(name)
      where = self.first(name, bits & judging.NAN)
      if where is not None:
        nans.append(self.when(name, where))
    hiding = {
      name
      for name, spot in self.spots.items()
      if self._is_bad_at(name, flags)
      and (not nans or self.when(name, spot.start) < min(nans))
    }
    return at_fault | hiding

  def _is_bad_at(self, name: int, flags: Mapping[int, Any]) -> bool:
    """Whether an operation that computes has results that are not finite."""
    if name not in self.spots:
      return False
    operation = self.spots[name].operation
    return judging.may_fault(operation) and any(
      np.any(flags[key]) for key in operation.outputs
    )


def _is_bad(run: faults.Run, outputs: Sequence[int]) -> bool:
  return any(bool(run.outputs[i]) for i in outputs)
