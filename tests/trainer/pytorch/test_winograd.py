#!/usr/bin/env python3
"""The gradient of ResNet-18 by Winograd's filters and by the direct kernels against PyTorch in float64.

Where relu is replaced by softplus the gradient is a smooth function of what is rounded: over all
parameters the direct kernels err at most twice as much as PyTorch in float32, and Winograd at most
ten times as much as they. With relu a value near zero that changes its sign moves the gradient by
a finite step, whoever rounds it: there only the last layer, which sees the features, is held to
that, and the whole is printed (docs/winograd.md counts the signs). One step of plain SGD at a rate
so large that the change of a weight is its gradient. Exits with 77 (skipped) where torchvision is
not installed.
"""
import os
import sys
import unittest

import test_pytorch as oracle  # also finds the Python that has PyTorch, or skips

try:
    import torchvision
except ImportError:
    print("skipped: torchvision is not installed (Debian: python3-torchvision)")
    sys.exit(77)

from test_pytorch import bench, numpy, safetensors, torch  # noqa: E402

PICTURES, RATE = 16, 1024.0
RECIPE = """\
model: {activation}.yaml
data:
  train: data/train
  shuffle: none
  transforms:
    - normalize: {{mean: [{mean}], std: [{std}]}}
train:
  epochs: 1
  batch: {pictures}
  leaf: {pictures}
  from: first.safetensors
  loss: cross_entropy
  optimizer: sgd
  schedule: {{constant: {rate}}}
"""


ACTIVATIONS = {"relu": torch.nn.ReLU, "softplus": torch.nn.Softplus}


def model_text(activation):
    """ResNet-18 with a first layer of 3x3 that keeps the size."""
    def norm(name, out, stride, number):
        return (f"        - conv: {{name: {name}{number}, out: {out}, kernel: 3, stride: {stride}, "
                f"pad: 1, bias: false}}\n        - batchnorm: {{name: bn{number}}}\n")
    text = "input: {channels: 3, height: 32, width: 32}\nlayers:\n" + (
        "  - conv: {name: conv1, out: 64, kernel: 3, pad: 1, bias: false}\n"
        f"  - batchnorm: {{name: bn1}}\n  - {activation}:\n")
    for block in range(8):
        stage, out = block // 2, 64 << block // 2
        stride = 2 if stage and block % 2 == 0 else 1
        text += (f"  - residual:\n      name: layer{stage + 1}.{block % 2}\n      body:\n"
                 + norm("conv", out, stride, 1) + f"        - {activation}:\n"
                 + norm("conv", out, 1, 2))
        if stride == 2:
            text += ("      shortcut:\n        - conv: {name: downsample.0, "
                     f"out: {out}, kernel: 1, stride: 2, bias: false}}\n"
                     "        - batchnorm: {name: downsample.1}\n")
        text += f"  - {activation}:\n"
    return text + "  - avgpool: {global: true}\n  - linear: {name: fc, out: 10}\n"


def resnet18_small(activation, seed):
    """The same of torchvision's."""
    torch.manual_seed(seed)
    made = torchvision.models.resnet18(num_classes=10)
    made.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    made.maxpool = torch.nn.Identity()
    for module in list(made.modules()):
        if isinstance(getattr(module, "relu", None), torch.nn.ReLU):
            module.relu = ACTIVATIONS[activation]()
    return made.train()


def draw(seed):
    """Pictures of noise and stripes, as bytes, and their classes."""
    oracle.SEED = seed
    return oracle.draw(PICTURES, 3, 32)


def gradient_of_pytorch(network, dtype, pixels, labels):
    inputs = (torch.from_numpy(pixels).to(dtype) - 95.625) / 64
    targets = torch.from_numpy(labels.astype(numpy.int64))
    network = network.to(dtype)
    torch.nn.functional.cross_entropy(network(inputs), targets).backward()
    return {name: value.grad.numpy().astype(numpy.float64)
            for name, value in network.named_parameters()}


def error_of(gradient, exact, names):
    """By norm over the named parameters, as a share of the exact gradient's."""
    off = sum(numpy.sum((gradient[name] - exact[name]) ** 2) for name in names)
    return numpy.sqrt(off / sum(numpy.sum(exact[name] ** 2) for name in names))


class Winograd(oracle.Program):
    def prepare(self, activation, seed):
        """Data, recipe and first weights in the folder; what PyTorch needs for the same."""
        pixels, labels = draw(seed)
        oracle.write_cifar10(self.folder, pixels, labels)
        self.convoy("import", "cifar10", ".", "data")
        for name, text in ((f"{activation}.yaml", model_text(activation)), ("recipe.yaml",
                           RECIPE.format(activation=activation, mean=oracle.MEAN, rate=RATE,
                                         std=oracle.DEVIATION, pictures=PICTURES))):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
                file.write(text)
        first = oracle.state_of(resnet18_small(activation, seed))
        safetensors.write(os.path.join(self.folder, "first.safetensors"),
                          {name: (value.shape, value.astype("<f4").tobytes())
                           for name, value in first.items()})
        return pixels, labels, first

    def gradient_of_convoy(self, first, names, switch):
        self.convoy("train", "recipe.yaml", "--run", switch, f"engine.winograd={switch}")
        after = safetensors.Checkpoint(
            os.path.join(self.folder, switch, "checkpoints", "step-000000001.safetensors"))
        return {name: (first[name] - numpy.array(after.numbers(name), dtype=numpy.float64).reshape(
                    first[name].shape)) / RATE for name in names}

    def errors(self, activation, seed):
        """By who computed: the error of all parameters, and of the last layer's weights."""
        pixels, labels, first = self.prepare(activation, seed)
        def pytorch(dtype):
            return gradient_of_pytorch(resnet18_small(activation, seed), dtype, pixels, labels)
        exact = pytorch(torch.float64)
        found = {"float32": pytorch(torch.float32),
                 "direct": self.gradient_of_convoy(first, list(exact), "off"),
                 "winograd": self.gradient_of_convoy(first, list(exact), "on")}
        errors = {kind: (error_of(gradient, exact, list(exact)),
                         error_of(gradient, exact, ["fc.weight"]))
                  for kind, gradient in found.items()}
        for kind, (everything, last) in errors.items():
            print(f"{activation}, {kind}: error of all parameters {everything:.1e}, "
                  f"of the last layer's weights {last:.1e}")
        self.assertNotEqual(errors["winograd"], errors["direct"], "Winograd was not used")
        return errors

    def test_winograd__whole_gradient_within_ten_times_direct(self):
        errors = self.errors("softplus", oracle.SEED)
        self.assertLessEqual(errors["direct"][0], 2 * errors["float32"][0])
        self.assertLessEqual(errors["winograd"][0], 10 * errors["direct"][0])

    def test_winograd__last_layer_within_ten_times_direct(self):
        errors = self.errors("relu", oracle.SEED)
        self.assertLessEqual(errors["direct"][1], 2 * errors["float32"][1])
        self.assertLessEqual(errors["winograd"][1], 10 * errors["direct"][1])


if __name__ == "__main__":
    print(f"program {bench.PROGRAM}, PyTorch {torch.__version__}, seed {oracle.SEED}",
          file=sys.stderr)
    unittest.main()
