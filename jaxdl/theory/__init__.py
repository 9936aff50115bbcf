"""Theory: what a wide random network does to signals, in float64.

theory.mean_field('tanh', weight_std=1.5, bias_std=0.2).xi_c
theory.critical_weight_std('tanh', bias_std=0.2)
"""

from jaxdl.theory.critical import critical_bias_std as critical_bias_std
from jaxdl.theory.critical import critical_points as critical_points
from jaxdl.theory.critical import critical_weight_std as critical_weight_std
from jaxdl.theory.critical import CriticalPoint as CriticalPoint
from jaxdl.theory.gaussian import Moments as Moments
from jaxdl.theory.gaussian import moments as moments
from jaxdl.theory.lengths import FixedPoint as FixedPoint
from jaxdl.theory.mean_fields import mean_field as mean_field
from jaxdl.theory.mean_fields import MeanField as MeanField
