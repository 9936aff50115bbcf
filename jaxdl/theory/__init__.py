"""Theory: what a wide random network does to signals, in float64.

theory.mean_field('tanh', weight_std=1.5, bias_std=0.2).xi_c
theory.critical_weight_std('tanh', bias_std=0.2)
"""

from jaxdl.theory.batch_norm import gradient_growth as gradient_growth
from jaxdl.theory.critical import critical_bias_std as critical_bias_std
from jaxdl.theory.critical import critical_points as critical_points
from jaxdl.theory.critical import critical_weight_std as critical_weight_std
from jaxdl.theory.critical import CriticalPoint as CriticalPoint
from jaxdl.theory.gaussian import Moments as Moments
from jaxdl.theory.gaussian import moments as moments
from jaxdl.theory.lengths import FixedPoint as FixedPoint
from jaxdl.theory.mean_fields import mean_field as mean_field
from jaxdl.theory.mean_fields import MeanField as MeanField
from jaxdl.theory.profiles import hidden_weight_std as hidden_weight_std
from jaxdl.theory.profiles import predict as predict
from jaxdl.theory.profiles import Prediction as Prediction
from jaxdl.theory.profiles import Profile as Profile
from jaxdl.theory.profiles import variance_of as variance_of
from jaxdl.theory.residual import relu_block_growth as relu_block_growth
from jaxdl.theory.shattering import gradient_correlation as gradient_correlation
