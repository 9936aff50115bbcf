"""Reading a jaxpr: probes, and the backward signal at any depth."""

from jaxdl.tracing import statistics as statistics
from jaxdl.tracing.culprit import Culprit as Culprit
from jaxdl.tracing.log_cotangent import (
  log_cotangent_profile as log_cotangent_profile,
)
from jaxdl.tracing.nonfinite import first_nonfinite as first_nonfinite
from jaxdl.tracing.nonfinite import NonFinite as NonFinite
from jaxdl.tracing.probing import everything as everything
from jaxdl.tracing.probing import probe as probe
from jaxdl.tracing.probing import Profile as Profile
from jaxdl.tracing.probing import Signal as Signal
from jaxdl.tracing.probing import Taps as Taps
from jaxdl.tracing.sites import Site as Site
