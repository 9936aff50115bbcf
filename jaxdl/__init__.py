"""jaxdl: the gradient-flow laboratory for JAX."""

__version__ = '0.1.0'
