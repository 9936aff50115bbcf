"""Models: one file an architecture, and the table of all of them by name."""

from jaxdl.models.zoo import Architecture as Architecture
from jaxdl.models.zoo import architecture as architecture
from jaxdl.models.zoo import assemble as assemble
from jaxdl.models.zoo import build as build
from jaxdl.models.zoo import names as names
