"""Tests for `x_ray/kernels.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox
from flax import linen
from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray import examination
from jaxdl.x_ray import kernels

_X = jnp.ones((5, 8, 8, 3))


def _found(loss, model, *args):
  """Returns the fans by the parameter's name, and the shapes of what is fed."""
  subject = examination.subject(loss, model, args, False)
  params = subject.adapted.params
  found = kernels.find(subject.traced.graph, len(params))
  inputs = [*params, *examination.arrays(subject.adapted, args)]
  names = subject.adapted.names
  return (
    {names[i]: tuple(fans) for i, fans in found.fans.items()},
    sorted(inputs[i].shape for i in found.fed),
  )


class FindTest(parameterized.TestCase):
  def test_of_flax_and_equinox_are_alike(self):
    x, y = jnp.ones((5, 4)), jnp.ones((5, 7))
    expected = {'kernel': (4, 7)}, [(5, 4)]
    dense = linen.Dense(7)
    variables = dense.init(jax.random.key(0), x)
    loss = lambda v, x, y: jnp.mean((dense.apply(v, x) - y) ** 2)
    self.assertEqual(_found(loss, variables, x, y), expected)
    linear = nnx.Linear(4, 7, rngs=nnx.Rngs(0))
    loss = lambda model, x, y: jnp.mean((model(x) - y) ** 2)
    self.assertEqual(_found(loss, linear, x, y), expected)
    linear = equinox.nn.Linear(4, 7, key=jax.random.key(0))
    loss = lambda model, x, y: jnp.mean((jax.vmap(model)(x) - y) ** 2)
    self.assertEqual(_found(loss, linear, x, y), ({'weight': (4, 7)}, [(5, 4)]))

  @parameterized.parameters((1, (27, 54)), (3, (9, 18)))
  def test_of_a_convolution(self, groups, fans):
    convolution = nnx.Conv(
      3, 6, (3, 3), feature_group_count=groups, rngs=nnx.Rngs(0)
    )
    loss = lambda model, x: jnp.mean(model(x) ** 2)
    self.assertEqual(_found(loss, convolution, _X)[0], {'kernel': fans})

  def test_of_several_heads_and_of_a_table(self):
    def loss(params, tokens):
      x = params['table'][tokens]
      x = jnp.einsum('btd,dhk->bthk', x, params['query'])
      x = jnp.einsum('bthk,hkd->btd', x, params['out'])
      return jnp.mean(x @ params['table'].T)

    params = {
      'table': jnp.ones((11, 6)),
      'query': jnp.ones((6, 2, 4)),
      'out': jnp.ones((2, 4, 6)),
    }
    fans, fed = _found(loss, params, jnp.zeros((3, 5), jnp.int32))
    self.assertEqual(fans, {'query': (6, 8), 'out': (8, 6)})
    self.assertEqual(fed, [(3, 5)])

  def test_in_scans_and_in_functions_with_a_derivative_of_their_own(self):
    @jax.custom_vjp
    def double(w, x):
      return 2 * (x @ w)

    double.defvjp(
      lambda w, x: (double(w, x), (w, x)),
      lambda saved, ct: (2 * saved[1].T @ ct, 2 * ct @ saved[0].T),
    )

    def loss(params, x, mask):
      x = (x - 1) / 2
      x, _ = lax.scan(lambda x, w: (x @ w.T, None), x, params['stack'])
      x = jax.checkpoint(jnp.matmul)(x, params['wide'])
      # A regularizer makes no kernel of a vector.
      penalty = jnp.vdot(params['bias'], params['bias'])
      return (
        jnp.mean(mask * double(params['own'], x) + params['bias']) + penalty
      )

    params = {
      'stack': jnp.ones((6, 3, 3)),
      'wide': jnp.ones((3, 9)),
      'own': jnp.ones((9, 2)),
      'bias': jnp.ones(2),
    }
    fans, fed = _found(loss, params, jnp.ones((4, 3)), jnp.ones((4, 1)))
    self.assertEqual(fans, {'stack': (3, 3), 'wide': (3, 9), 'own': (9, 2)})
    self.assertEqual(fed, [(4, 3)])


if __name__ == '__main__':
  absltest.main()
