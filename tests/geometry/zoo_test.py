"""Tests of the geometry of the architectures, against published numbers.

Multiply-accumulates are those of the convolutions and dense layers alone:
torchvision documents them, rounded, for the networks it publishes; the others
were counted by hand from the papers' tables. Receptive fields of VGG-16 and
AlexNet are those of Araujo, Norris & Sim, 2019; those of the CIFAR networks
follow from the papers' tables.
"""

import re

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import geometry
from jaxdl import models


def _build(name):
  row = models.architecture(name)
  net = models.build(name, in_shape=row.in_shape, num_classes=row.num_classes)
  return net, row.in_shape


class ZooTest(parameterized.TestCase):
  @parameterized.parameters(
    ('alexnet', 61_100_840, 714_188_480),
    ('vgg11', 132_863_336, 7_609_090_048),
    ('vgg16', 138_357_544, 15_470_264_320),
    ('resnet18', 11_689_512, 1_814_073_344),
    ('resnet34', 21_797_672, 3_663_761_408),
    ('resnet50', 25_557_032, 4_089_184_256),
    ('resnet20', 269_722, 40_551_040),
    ('resnet56', 853_018, 125_485_696),
    ('nin_cifar10', 966_986, 222_486_528),
    ('nin_imagenet', 7_595_176, 969_460_864),
    ('googlenet', 6_998_552, 1_582_671_872),
  )
  def test_costs(self, name, parameters, macs):
    summary = geometry.summary(*_build(name), depth=1)
    self.assertEqual(summary.parameters, parameters)
    self.assertEqual(summary.macs, macs)

  @parameterized.parameters(
    ('vgg16', 'conv5_3', 212, 32, 90),
    ('vgg11', 'conv5_2', 150, 32, 59),
    ('alexnet', 'conv5', 195, 32, 66),
    ('nin_cifar10', 'mlpconv3_conv', 27, 4, None),
    ('googlenet', 'inception3a', 59, 8, 23),
    ('googlenet', 'inception5b', 715, 32, 327),
    ('resnet18', 'stage4', 435, 32, 217),
    ('resnet34', 'stage4', 899, 32, 449),
    ('resnet50', 'stage4', 427, 32, 213),
    ('resnet20', 'stage1', 15, 1, None),
    ('resnet20', 'stage3', 81, 4, None),
    ('resnet56', 'stage3', 249, 4, None),
  )
  def test_fields(self, name, scope, size, stride, padding):
    fields = geometry.receptive_field(*_build(name))
    for field in fields.row(scope).fields:
      self.assertEqual((field.size, field.stride), (size, stride))
      self.assertIn(padding, (field.padding, None))

  @parameterized.parameters(
    n for n in models.names() if re.fullmatch(r'(pre)?(resnet|plain|vgg)\d+', n)
  )
  def test_is_as_deep_as_its_name_says(self, name):
    summary = geometry.summary(*_build(name), depth=1)
    self.assertEqual(summary.depth, int(re.findall(r'\d+', name)[0]))

  def test_the_depth_of_googlenet(self):
    """Szegedy et al.: 22 layers when counting only layers with parameters."""
    self.assertEqual(geometry.summary(*_build('googlenet')).depth, 22)


if __name__ == '__main__':
  absltest.main()
