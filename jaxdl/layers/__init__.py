"""Layers: pure pairs `(init, apply)`, and combinators of them."""

from jaxdl.layers import initializers as initializers
from jaxdl.layers.activation import activation as activation
from jaxdl.layers.activation import PreluParams as PreluParams
from jaxdl.layers.base import Layer as Layer
from jaxdl.layers.combinators import identity as identity
from jaxdl.layers.combinators import named as named
from jaxdl.layers.combinators import parallel as parallel
from jaxdl.layers.combinators import repeat as repeat
from jaxdl.layers.combinators import Repeated as Repeated
from jaxdl.layers.combinators import scope as scope
from jaxdl.layers.combinators import serial as serial
from jaxdl.layers.inception import inception as inception
from jaxdl.layers.inception import InceptionFeatures as InceptionFeatures
from jaxdl.layers.linear import conv as conv
from jaxdl.layers.linear import ConvParams as ConvParams
from jaxdl.layers.linear import dense as dense
from jaxdl.layers.linear import DenseParams as DenseParams
from jaxdl.layers.linear import flatten as flatten
from jaxdl.layers.mlpconv import mlpconv as mlpconv
from jaxdl.layers.mlpconv import mlpconv_convolutions as mlpconv_convolutions
from jaxdl.layers.normalization import batch_norm as batch_norm
from jaxdl.layers.normalization import BatchNormState as BatchNormState
from jaxdl.layers.normalization import layer_norm as layer_norm
from jaxdl.layers.normalization import (
  local_response_norm as local_response_norm,
)
from jaxdl.layers.normalization import NormParams as NormParams
from jaxdl.layers.pooling import avg_pool as avg_pool
from jaxdl.layers.pooling import global_avg_pool as global_avg_pool
from jaxdl.layers.pooling import lp_pool as lp_pool
from jaxdl.layers.pooling import LpPoolParams as LpPoolParams
from jaxdl.layers.pooling import max_pool as max_pool
from jaxdl.layers.precision import in_dtype as in_dtype
from jaxdl.layers.recurrent import gru as gru
from jaxdl.layers.recurrent import last_step as last_step
from jaxdl.layers.recurrent import lstm as lstm
from jaxdl.layers.recurrent import RecurrentParams as RecurrentParams
from jaxdl.layers.recurrent import rnn as rnn
from jaxdl.layers.regularization import dropout as dropout
from jaxdl.layers.shortcuts import Highway as Highway
from jaxdl.layers.shortcuts import highway as highway
from jaxdl.layers.shortcuts import Residual as Residual
from jaxdl.layers.shortcuts import residual as residual
