"""Tests for `zoo.py`: every refusal, in a line."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import models
from jaxdl.models import zoo


class RefusalsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('resnet21', {}, "Unknown architecture 'resnet21'.*Did you mean 'resnet"),
    (
      'plain20',
      dict(shortcut='identity'),
      ("^plain20 has no shortcuts: shortcut is 'identity'; possible: none$"),
    ),
    (
      'highway',
      dict(shortcut='identity'),
      ("^shortcut of highway is 'identity'; possible: highway$"),
    ),
    (
      'resnet20',
      dict(shortcut='highway'),
      (
        "^shortcut of resnet20 is 'highway'; "
        'possible: none, identity, projection$'
      ),
    ),
    (
      'resnet20',
      dict(norm='bach'),
      (
        "^norm of resnet20 is 'bach'; "
        'possible: none, batch, batch_plain, layer$'
      ),
    ),
    ('mlp', dict(dept=3), "Unknown option of mlp 'dept'.*Did you mean 'depth'"),
    (
      'resnet20',
      dict(depth=30),
      (
        '^resnet20 has a depth of its own, 20: leave it out; '
        'options: residual_scale, shortcut_scale, preactivation, stem_width$'
      ),
    ),
    (
      'resnet18',
      dict(stride_in_1x1=True),
      '^resnet18 has a stride_in_1x1 of its own, False: leave it out',
    ),
    (
      'googlenet_auxiliary',
      dict(auxiliary=False),
      '^googlenet_auxiliary has an auxiliary of its own, True: leave it out',
    ),
    (
      'plain20',
      dict(residual_scale=0.5),
      "^residual_scale has no meaning in plain20 with shortcut 'none'",
    ),
    (
      'resnet20',
      dict(shortcut='none', residual_scale=0.5),
      (
        "^residual_scale has no meaning in resnet20 with shortcut 'none'; it "
        'belongs to: identity, projection$'
      ),
    ),
    (
      'mlp',
      dict(gate_bias=-1.0),
      'gate_bias has no meaning in mlp.*: highway$',
    ),
    ('mlp', dict(activation='rleu'), "Unknown activation 'rleu'"),
    ('mlp', dict(activation='relu:1'), "activation 'relu:1' has too many"),
    (
      'resnet20',
      dict(in_shape=(784,)),
      (
        r'^resnet20 cannot take inputs of shape \(784,\): stem/conv: .*\(784,\)'
      ),
    ),
    (
      'resnet20',
      dict(in_shape=(0, 32, 3)),
      (r'^resnet20 cannot take .* \(0, 32, 3\): each size must be at least'),
    ),
    ('mlp', dict(num_classes=0), '^num_classes of mlp is 0; possible: integ'),
    ('mlp', dict(depth='30'), "^depth of mlp is '30'; possible: integers from"),
    ('mlp', dict(norm=5), '^norm of mlp is 5; possible: none, batch,'),
    (
      'resnet20',
      dict(in_shape=32),
      r'^in_shape of resnet20 is 32; possible: .* as in \(32, 32, 3\)$',
    ),
    (
      'resnet20',
      dict(in_shape=(32, 32)),
      r'^resnet20 cannot take inputs of shape \(32, 32\): stem/conv: conv',
    ),
    (
      'alexnet',
      dict(dropout_rate=None),
      '^dropout_rate of alexnet is None; possible: a number from 0 to less',
    ),
    ('mlp', dict(weight_init='hee'), "^weight_init of mlp is 'hee'; .*: None"),
    (
      'vgg16',
      dict(shortcut='identity'),
      "^vgg16 has no shortcuts: shortcut is 'identity'; possible: none$",
    ),
    (
      'vgg16',
      dict(in_shape=(16, 16, 3)),
      r'^vgg16 cannot take inputs of shape \(16, 16, 3\): conv5_3/pool: ',
    ),
    (
      'alexnet',
      dict(),
      r'^alexnet cannot take inputs of shape \(32, 32, 3\): conv5/pool: .*3x3',
    ),
    (
      'googlenet',
      dict(auxiliary=True),
      r'^googlenet cannot take inputs of shape \(32, 32, 3\): auxiliary1/pool',
    ),
  )
  def test_says_in_a_line_what_is_possible(self, name, kwargs, message):
    defaults = dict(num_classes=10, in_shape=(32, 32, 3))
    with self.assertRaisesRegex(ValueError, message) as caught:
      models.build(name, **{**defaults, **kwargs})
    self.assertLen(str(caught.exception).splitlines(), 1)

  def test_nothing_is_traced_before_a_refusal(self):
    def activation(x):
      self.fail('traced')

    with self.assertRaisesRegex(ValueError, 'width of mlp is 2.5'):
      models.build(
        'mlp',
        num_classes=10,
        in_shape=(4,),
        activation=activation,
        weight_init=lambda key, shape: self.fail('drawn'),
        width=2.5,
      )

  def test_toggle_is_norm_or_shortcut(self):
    self.assertEqual(zoo.chosen('resnet18', 'shortcut', None), 'projection')
    self.assertEqual(zoo.chosen('resnet20', 'norm', 'layer'), 'layer')
    with self.assertRaisesRegex(ValueError, "Unknown toggle 'clip'; choose"):
      zoo.chosen('resnet20', 'clip', 'none')

  @parameterized.parameters(5, None, (('mlp',),))
  def test_name_of_no_text(self, name):
    with self.assertRaisesRegex(
      ValueError, '^Unknown architecture .* mlp, cnn'
    ):
      models.build(name, num_classes=10, in_shape=(4,))

  def test_row_of_an_unknown_name(self):
    with self.assertRaisesRegex(ValueError, "'vgg99'; choose one of: mlp, cnn"):
      zoo.architecture('vgg99')


if __name__ == '__main__':
  absltest.main()
