"""Geometry of models: receptive fields, shapes and costs, read off a jaxpr."""

from jaxdl.geometry.effective import (
  effective_receptive_field as effective_receptive_field,
)
from jaxdl.geometry.effective import effective_size as effective_size
from jaxdl.geometry.receptive_fields import backward_field as backward_field
from jaxdl.geometry.receptive_fields import Field as Field
from jaxdl.geometry.receptive_fields import forward_field as forward_field
from jaxdl.geometry.receptive_fields import receptive_field as receptive_field
from jaxdl.geometry.receptive_fields import ReceptiveFields as ReceptiveFields
from jaxdl.geometry.receptive_fields import Row as Row
from jaxdl.geometry.summaries import Summary as Summary
from jaxdl.geometry.summaries import summary as summary
