"""Functions of parameters, of no library: the rows of their X-ray."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp

from tests.x_ray import outlines

_X = jnp.ones((2, 4))
_W = jnp.ones((4, 4))


def _dense(name, w, x):
  with jax.named_scope(name):
    return x @ w


def _stack(params, x):
  def block(x, w):
    with jax.named_scope('block'):
      return jnp.tanh(_dense('dense', w, x)), None

  x, _ = lax.scan(block, x, params['blocks'])
  return jnp.mean(x**2)


def _rematerialized(params, x):
  def block(w, x):
    with jax.named_scope('block'):
      return jnp.tanh(_dense('dense', w, x)) * 2

  for w in params['blocks']:
    x = jax.checkpoint(block)(w, x)
  return jnp.mean(x**2)


def _mapped(params, x):
  def expert(w, x):
    with jax.named_scope('expert'):
      return jnp.tanh(_dense('dense', w, x)) * 2

  return jnp.mean(jax.vmap(expert, in_axes=(0, None))(params['blocks'], x))


def _branches(params, x):
  def small(x):
    return _dense('small', params['small'], x)

  def large(x):
    return jnp.sin(_dense('large', params['large'], x))

  with jax.named_scope('gate'):
    x = lax.cond(jnp.sum(x) > 0, small, large, x) * 2
  return jnp.mean(x)


def _counted_loop(params, x):
  def step(_, x):
    return jnp.tanh(_dense('dense', params['w'], x))

  with jax.named_scope('loop'):
    x = lax.fori_loop(0, 3, step, x)
  return jnp.mean(x)


@jax.custom_vjp
def _clipped(x):
  with jax.named_scope('inside'):
    return x * 1.0


_clipped.defvjp(
  lambda x: (_clipped(x), None), lambda _, ct: (jnp.clip(ct, -1, 1),)
)


@jax.custom_jvp
def _square(x):
  with jax.named_scope('inside'):
    return x * x


_square.defjvp(lambda xs, ts: (_square(*xs), 2 * xs[0] * ts[0]))


def _own_derivative(function):
  def loss(params, x):
    x = _dense('first', params['first'], x)
    with jax.named_scope('own'):
      x = function(x)
    return jnp.mean(_dense('second', params['second'], x))

  return loss


def _accumulated(params, x):
  def microbatch(total, x):
    y = jnp.tanh(_dense('first', params['first'], x))
    return total + jnp.mean(_dense('second', params['second'], y)), None

  return lax.scan(microbatch, 0.0, x.reshape(2, 1, 4))[0] / 2


def _tied(params, tokens):
  with jax.named_scope('embed'):
    x = params['table'][tokens]
  x = jnp.tanh(_dense('dense', params['w'], x))
  with jax.named_scope('readout'):
    return jnp.mean(x @ params['table'].T)


def _complex(params, x):
  x = _dense('spectral', params['w'], x.astype(jnp.complex64))
  with jax.named_scope('magnitude'):
    return jnp.mean(jnp.abs(x) ** 2)


def _mixed_precision(params, x):
  half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), params)
  x = _dense('first', half['first'], x.astype(jnp.bfloat16))
  x = _dense('second', half['second'], jax.nn.relu(x))
  return jnp.mean(x.astype(jnp.float32))


_TWO = {'first': _W, 'second': _W}
_BLOCKS = {'blocks': jnp.ones((2, 4, 4))}


class FunctionsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'scan',
      _stack,
      _BLOCKS,
      _X,
      ['block/dense[0] blocks', 'block[0]'],
    ),
    (
      'remat',
      _rematerialized,
      {'blocks': [_W, _W]},
      _X,
      [
        'block/dense blocks/0',
        'block/tanh',
        'block',
        'block#2/dense blocks/1',
        'block#2/tanh',
        'block#2',
      ],
    ),
    (
      'vmap',
      _mapped,
      _BLOCKS,
      _X,
      ['expert/dense blocks', 'expert/tanh', 'expert'],
    ),
    (
      'cond',
      _branches,
      {'small': _W, 'large': _W},
      _X,
      ['gate/large large', 'gate/small small', 'gate'],
    ),
    (
      'fori_loop',
      _counted_loop,
      {'w': _W},
      _X,
      ['loop/dense[0] w', 'loop/tanh[0]', 'loop'],
    ),
    (
      'gradient_accumulation',
      _accumulated,
      _TWO,
      _X,
      ['first[0] first', 'tanh[0]', 'second[0] second'],
    ),
    (
      'tied',
      _tied,
      {'table': jnp.ones((5, 4)), 'w': _W},
      jnp.zeros((2, 3), int),
      ['embed table', 'dense w', 'tanh', 'readout table'],
    ),
    (
      'complex',
      _complex,
      {'w': _W * (1 + 1j)},
      _X,
      ['spectral w', 'magnitude'],
    ),
    (
      'mixed_precision',
      _mixed_precision,
      _TWO,
      _X,
      ['first first', 'relu', 'second second'],
    ),
  )
  def test_rows_and_their_parameters(self, loss, params, x, expected):
    self.assertEqual(outlines.outline(loss, params, x), expected)
    self.assertEmpty(outlines.unattached(outlines.examined(loss, params, x)))

  @parameterized.named_parameters(('vjp', _clipped), ('jvp', _square))
  def test_a_function_with_a_derivative_of_its_own(self, function):
    found = outlines.examined(_own_derivative(function), _TWO, _X)
    self.assertEqual(
      [row.name for row in found.rows], ['first', 'own', 'second']
    )
    self.assertEqual(
      dict(found.hidden),
      {'own/inside': 'in a function with a derivative of its own'},
    )

  def test_half_precision_is_shown(self):
    found = outlines.examined(_mixed_precision, _TWO, _X)
    self.assertEqual({row.dtype for row in found.rows}, {'bfloat16'})
    self.assertEqual({p.dtype for p in found.parameters}, {'float32'})

  def test_without_scopes_lines_are_rows(self):
    def loss(params, x):
      x = jax.nn.relu(x @ params['first'])
      return jnp.mean(x @ params['second'])

    first = loss.__code__.co_firstlineno
    self.assertEqual(
      outlines.outline(loss, _TWO, _X),
      [
        f'libraries_test.py:{first + 1} loss first',
        f'libraries_test.py:{first + 2} loss second',
      ],
    )

  def test_between_scopes_lines_are_rows_where_parameters_are_used(self):
    def loss(params, x):
      x = _dense('first', params['first'], x)
      x = jnp.sin(x) @ params['second'] + params['bias']
      return jnp.mean(x)

    line = loss.__code__.co_firstlineno + 2
    self.assertEqual(
      outlines.outline(loss, {**_TWO, 'bias': jnp.ones(4)}, _X),
      ['first first', f'libraries_test.py:{line} loss second bias'],
    )


if __name__ == '__main__':
  absltest.main()
