"""The backward signal at depths where its numbers underflow.

A vector-Jacobian product is linear in the vector. So wherever all earlier
signal passes through one value, the cotangent of that value may be scaled to
unit size and the logarithm of the scale carried beside it.
"""

from collections.abc import Callable
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import sites
from jaxdl.tracing import statistics

Array = jax.Array


def log_cotangent_profile(
  fn: Callable[..., Any], has_aux: bool = False
) -> Callable[..., dict[str, Array]]:
  """Measures log10 of the root mean square of dz/dx, whatever its size.

  Right where the cotangent itself is far below the smallest, or above the
  largest, floating-point number, as long as every stretch between two values
  that cut the graph (the output of a block of a plain or residual stack) keeps
  within its range. Scopes inside such a stretch are reported too.

  Args:
    fn: a function to a scalar z, or to `(scalar, aux)` if `has_aux`.
    has_aux: whether `fn` returns auxiliary data.

  Returns:
    A function of the arguments of `fn`, which returns for each named scope the
    logarithm, with the scans around the scope as leading axes; minus infinity
    where the cotangent is exactly zero.
  """

  def profiled(*args, **kwargs):
    graph, out_tree = evaluation.trace(fn, args, kwargs)
    found = [site for site in sites.find(graph) if _is_real(site)]
    taps = {site.key: _logarithm_tap(site) for site in found}
    slots = {
      site.key: jnp.zeros(site.lengths, _accumulated(site.dtype))
      for site in found
    }

    def tapped(slots):
      arrays = evaluation.array_leaves((args, kwargs))
      done = evaluation.evaluate(
        graph, arrays, taps, slots, thread=jnp.zeros([])
      )
      result = jax.tree.unflatten(out_tree, done.outputs)
      # The thread is an output, so that its cotangent, the logarithm, is there.
      return (result[0] if has_aux else result), done.thread

    (value, thread), backward = jax.vjp(tapped, slots)
    (received,) = backward((jnp.ones_like(value), jnp.zeros_like(thread)))
    return {path: received[site.key] for site in found for path in site.paths}

  return profiled


def _logarithm_tap(site: sites.Site) -> evaluation.Tap:
  """Records the logarithm of a cotangent; scales it at a cut of the graph.

  The cotangent of the thread is the base-10 logarithm of the factor by which
  the cotangents of all values before it were divided.
  """

  @jax.custom_vjp
  def identity(x, slot, thread):
    del slot
    return x, thread

  def backward(_, cotangents):
    ct, log_factor = cotangents
    magnitude = jnp.max(jnp.abs(ct))
    scale = statistics.power_of_two_below_inverse(magnitude)
    unit = ct * scale
    size = statistics.norm(unit) / math.sqrt(max(ct.size, 1))
    log_scale = jnp.log10(scale.astype(size.dtype))  # Not in halves.
    log_rms = jnp.log10(size) - log_scale + log_factor
    if site.is_cut:
      ct, log_factor = unit, log_factor - log_scale.astype(log_factor.dtype)
    return ct, log_rms.astype(_accumulated(site.dtype)), log_factor

  identity.defvjp(lambda x, slot, thread: ((x, thread), None), backward)

  def tap(x, slot, thread):
    x, thread = identity(x, slot, thread)
    return x, (), thread

  return tap


def _accumulated(dtype: Any) -> Any:
  return jnp.promote_types(dtype, jnp.float32)


def _is_real(site: sites.Site) -> bool:
  return jnp.issubdtype(site.dtype, jnp.floating)
