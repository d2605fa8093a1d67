#!/usr/bin/env python3
"""The gradient of ResNet-18 by Winograd's filters and by the direct kernels against PyTorch in float64.
The direct kernels' error is at most twice PyTorch's in float32 over all parameters. Winograd's is at
most ten times the direct one in the last layer, which sees the features; over all parameters it is
printed only, since activations near zero that change sign move the gradient by a finite step. One step
of plain SGD at a rate so large that the change of a weight is its gradient. Exits with 77 (skipped)
where torchvision is not installed.
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
MODEL = os.path.join(oracle.HERE, "..", "..", "..", "configs", "models", "resnet18-small.yaml")
RECIPE = """\
model: {model}
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


def resnet18_small():
    """torchvision's ResNet-18 with a first layer of 3x3 that keeps the size."""
    torch.manual_seed(oracle.SEED)
    made = torchvision.models.resnet18(num_classes=10)
    made.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    made.maxpool = torch.nn.Identity()
    return made.train()


class Winograd(oracle.Program):
    def gradient_of_pytorch(self, dtype, pixels, labels):
        network = resnet18_small().to(dtype)
        inputs = (torch.from_numpy(pixels).to(dtype) - 95.625) / 64
        targets = torch.from_numpy(labels.astype(numpy.int64))
        torch.nn.functional.cross_entropy(network(inputs), targets).backward()
        return {name: value.grad.numpy().astype(numpy.float64)
                for name, value in network.named_parameters()}

    def gradient_of_convoy(self, first, switch):
        self.convoy("train", "recipe.yaml", "--run", switch, f"engine.winograd={switch}")
        after = safetensors.Checkpoint(
            os.path.join(self.folder, switch, "checkpoints", "step-000000001.safetensors"))
        return {name: (first[name] - numpy.array(after.numbers(name)).reshape(first[name].shape))
                      / RATE for name, _ in resnet18_small().named_parameters()}

    @staticmethod
    def error(gradient, exact, names):
        """By norm over the named parameters, as a share of the exact gradient's."""
        off = sum(numpy.sum((gradient[name] - exact[name]) ** 2) for name in names)
        return numpy.sqrt(off / sum(numpy.sum(exact[name] ** 2) for name in names))

    def test_winograd__last_layer_within_ten_times_direct(self):
        pixels, labels = oracle.draw(PICTURES, 3, 32)
        oracle.write_cifar10(self.folder, pixels, labels)
        self.convoy("import", "cifar10", ".", "data")
        with open(os.path.join(self.folder, "recipe.yaml"), "w", encoding="ascii") as file:
            file.write(RECIPE.format(model=os.path.abspath(MODEL), mean=oracle.MEAN, rate=RATE,
                                     std=oracle.DEVIATION, pictures=PICTURES))
        first = oracle.state_of(resnet18_small())
        safetensors.write(os.path.join(self.folder, "first.safetensors"),
                          {name: (value.shape, value.astype("<f4").tobytes())
                           for name, value in first.items()})
        exact = self.gradient_of_pytorch(torch.float64, pixels, labels)
        found = {"float32": self.gradient_of_pytorch(torch.float32, pixels, labels),
                 "direct": self.gradient_of_convoy(first, "off"),
                 "winograd": self.gradient_of_convoy(first, "on")}
        error = {kind: {part: self.error(gradient, exact, names) for part, names in
                        (("all", list(exact)), ("last", ["fc.weight"]))}
                 for kind, gradient in found.items()}
        for kind, parts in error.items():
            print(f"{kind}: error of all parameters {parts['all']:.1e}, "
                  f"of the last layer's weights {parts['last']:.1e}")
        self.assertNotEqual(error["winograd"], error["direct"], "Winograd was not used")
        self.assertLessEqual(error["direct"]["all"], 2 * error["float32"]["all"])
        self.assertLessEqual(error["winograd"]["last"], 10 * error["direct"]["last"])


if __name__ == "__main__":
    print(f"program {bench.PROGRAM}, PyTorch {torch.__version__}, seed {oracle.SEED}",
          file=sys.stderr)
    unittest.main()
