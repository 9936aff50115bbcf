"""Haiku models, their own and the library's: the rows of their X-ray."""

from absl.testing import absltest
from absl.testing import parameterized
import haiku as hk
import jax
import jax.numpy as jnp

from tests.x_ray import outlines

_KEY = jax.random.key(0)
_X = jnp.ones((2, 3, 4))


class _Block(hk.Module):
  def __call__(self, x):
    y = hk.LayerNorm(-1, True, True, name='norm')(x)
    initializer = hk.initializers.VarianceScaling()
    attention = hk.MultiHeadAttention(
      2, 2, w_init=initializer, name='attention'
    )
    return x + hk.nets.MLP([6, 4], name='mlp')(attention(y, y, y))


def _block(name, suffix=''):
  return f"""
    {name}/norm{suffix} scale offset
    {name}/attention/query{suffix} w b
    {name}/attention/key{suffix} w b
    {name}/attention/value{suffix} w b
    {name}/attention/einsum{suffix}
    {name}/attention/softmax{suffix}
    {name}/attention/einsum#2{suffix}
    {name}/attention/linear{suffix} w b
    {name}/mlp/linear_0{suffix} w b
    {name}/mlp/relu{suffix}
    {name}/mlp/linear_1{suffix} w b
    {name}{suffix}
  """.strip()


def _transformer(tokens):
  """The embedding is tied to the readout."""
  embed = hk.Embed(5, 4)
  x = embed(tokens)
  for _ in range(2):
    x = _Block(name='block')(x)
  return x @ embed.embeddings.T


def _recurrent(x):
  core = hk.LSTM(2)
  y, _ = hk.dynamic_unroll(core, x, core.initial_state(3))
  return hk.Linear(1)(y)


class _Encoder(hk.Module):
  def __init__(self):
    super().__init__('encoder')
    self._dense = hk.Linear(4)

  def encode(self, x):
    return jnp.tanh(self._dense(x))

  def __call__(self, x):
    scale = hk.get_parameter('scale', (4,), init=jnp.ones)
    return hk.Linear(2, name='head')(self.encode(x * scale))


def _stacked(x):
  stack = hk.experimental.layer_stack(3, name='stack')
  return stack(lambda x: _Block(name='block')(x))(x)


class HaikuTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'transformer',
      _transformer,
      jnp.zeros((2, 3), int),
      f'embed embeddings\n{_block("block")}\n{_block("block_1")}',
    ),
    (
      'recurrent',
      _recurrent,
      _X,
      """
        lstm/linear[0] w b
        lstm/sigmoid[0]
        lstm/sigmoid#2[0]
        lstm/tanh[0]
        lstm/sigmoid#3[0]
        lstm/tanh#2[0]
        lstm[0]
        linear w b
      """,
    ),
    (
      'methods',
      lambda x: _Encoder()(x),
      _X,
      """
        encoder/linear w b
        encoder/encode
        encoder/head w b encoder/scale
      """,
    ),
    ('layer_stack', _stacked, _X, _block('stack/block', '[0]')),
  )
  def test_rows_and_their_parameters(self, fn, x, expected):
    network = hk.transform(fn)
    params = outlines.zeros(jax.eval_shape(network.init, _KEY, x))
    loss = lambda params, x: jnp.mean(network.apply(params, _KEY, x) ** 2)
    found = outlines.outline(loss, params, x)
    self.assertEqual(found, outlines.lines(expected))

  @parameterized.named_parameters(
    (
      'resnet',
      lambda x: hk.nets.ResNet18(3)(x, is_training=True),
      [
        'res_net18/initial_conv w',
        'res_net18/initial_batchnorm scale offset',
        'res_net18/relu',
        'res_net18/block_group_0/block_0/conv_0 w',
      ],
      [
        'res_net18/block_group_3/block_1/batchnorm_1 scale offset',
        'res_net18/block_group_3/block_1',
        'res_net18/logits w b',
      ],
      1 + 1 + 1 + 8 * 6 + 3 * 2 + 1,
    ),
    (
      'mobilenet',
      lambda x: hk.nets.MobileNetV1(
        (1, 2), (8, 8), num_classes=3, use_bn=False
      )(x, is_training=True),
      [
        'mobile_net_v1/conv2_d w b',
        'mobile_net_v1/relu',
        'mobile_net_v1/mobile_net_v1_block/depthwise_conv w b',
        'mobile_net_v1/mobile_net_v1_block/relu',
      ],
      ['mobile_net_v1/mobile_net_v1_block_1', 'mobile_net_v1/logits w b'],
      2 + 2 * 4 + 1,
    ),
  )
  def test_networks_of_the_library(self, fn, first, last, num_rows):
    network = hk.without_apply_rng(hk.transform_with_state(fn))
    images = jnp.ones((2, 32, 32, 3))
    params, state = jax.eval_shape(network.init, _KEY, images)

    def loss(params, state, x):
      y, state = network.apply(params, state, x)
      return jnp.mean(y**2), state

    found = outlines.outline(
      loss, outlines.zeros(params), outlines.zeros(state), images, has_aux=True
    )
    self.assertEqual(found[: len(first)], first)
    self.assertEqual(found[-len(last) :], last)
    self.assertLen(found, num_rows)

  def test_the_code_that_a_quantizer_chooses(self):
    def forward(x):
      quantizer = hk.nets.VectorQuantizer(4, 5, commitment_cost=0.25)
      code = hk.Linear(4, name='encoder')(x)
      quantized = quantizer(code, is_training=True)
      y = hk.Linear(4, name='decoder')(quantized['quantize'])
      return jnp.mean((y - x) ** 2) + quantized['loss']

    network = hk.without_apply_rng(hk.transform(forward))
    params = outlines.zeros(jax.eval_shape(network.init, _KEY, _X))
    found = outlines.outline(network.apply, params, _X)
    self.assertEqual(found[0], 'encoder w b')
    self.assertIn('vector_quantizer embeddings', found)
    self.assertEqual(found[-1], 'decoder w b')


if __name__ == '__main__':
  absltest.main()
