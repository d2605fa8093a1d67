#!/usr/bin/env python3
"""A training step of torchvision's networks, from torchvision's own first weights, against PyTorch.

    test_steps.py DECISIONS [NETWORK ...]     DECISIONS: the program torchvision_decisions; networks are
                                              named as torchvision names them

The gradient of all parameters together is compared by norm with PyTorch in float64: with the direct
kernels it may be off by at most twice what PyTorch in float32 is off, with Winograd's filters by at most
ten times that. One step of SGD, whose momentum then is the gradient; dropout is off on both sides.

A value near zero that comes out on relu's other side, or a maximum that moves to another pixel, moves
the gradient by a finite step, whoever rounds; in deep networks it happens in every step, to PyTorch in
float32 too, and what it moves has nothing to do with rounding. So each side is held against float64
with that side's own decisions imposed: the exact derivative of what it computed. How many are not
those that float64 would have taken is printed, and may be one in ten thousand.

Exits with 77 (skipped) where torchvision is not installed.
"""
import functools
import itertools
import os
import re
import subprocess
import sys
import unittest
from unittest import mock

import test_pytorch as oracle  # also finds the Python that has PyTorch, or skips

try:
    import torchvision
except ImportError:
    print("skipped: torchvision is not installed (Debian: python3-torchvision)")
    sys.exit(77)

from test_pytorch import bench, numpy, safetensors, torch  # noqa: E402
import pictures  # noqa: E402

DRAWS = ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "trunc_normal_")
MODELS = os.path.join(oracle.HERE, "..", "..", "..", "configs", "models")
RECIPE = """\
model: model.yaml
data:
  train: data
  shuffle: none
  transforms:
    - normalize: {{mean: [{mean}], std: [{std}]}}
train:
  epochs: 1
  batch: {count}
  leaf: {count}
  from: first.safetensors
  loss: cross_entropy
  optimizer: {{sgd: {{momentum: 0.9, weight_decay: 0}}}}
  schedule: {{constant: 0.01}}
"""


def model_text(name, size):
    """Our model for smaller pictures, without dropout. VGG's pooling to 7x7 does nothing at 224."""
    with open(os.path.join(MODELS, f"{name}.yaml"), encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"height: 224, width: 224", f"height: {size}, width: {size}", text)
    text = re.sub(r"( dropout: +)\S+", r"\g<1>0", text)
    return text.replace("  - linear:  {name: classifier.0",
                        "  - avgpool: {adaptive: 7}\n  - linear:  {name: classifier.0")


def network_of(name, state=None):
    """torchvision's network; with `state`, its parameters are these."""
    torch.manual_seed(oracle.SEED)
    options = {"init_weights": state is None} if name.startswith(("vgg", "googlenet")) else {}
    create = functools.partial(getattr(torchvision.models, name), weights=None, **options)
    if state is None:
        network = create()
    else:
        with mock.patch.multiple(torch.nn.init, **{draw: mock.DEFAULT for draw in DRAWS}):
            network = create()  # millions of numbers that nobody looks at
        network.load_state_dict(state)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return network.train()


def loss_of(outputs, targets):
    """Auxiliary heads count 0.3 (Szegedy et al. 2014)."""
    loss = torch.nn.functional.cross_entropy
    if not isinstance(outputs, tuple):
        return loss(outputs, targets)
    return (loss(outputs.logits, targets) +
            0.3 * (loss(outputs.aux_logits1, targets) + loss(outputs.aux_logits2, targets)))


class Decisions:
    """Stands in for PyTorch's relu and max pooling. `values`, in the order of forward: what decides in
    place of the inputs themselves (None: they do); afterwards `taken` holds the inputs."""

    def __init__(self, values=None):
        self.given = itertools.repeat(None) if values is None else iter(values)
        self.taken, self.count, self.others = [], 0, 0

    def decide(self, x, decision_of):
        own, values = decision_of(x.detach()), next(self.given)
        self.taken.append(x.detach().clone())
        if values is None:
            return own
        given = decision_of(values.reshape(x.shape))
        self.count += own.numel()
        self.others += int((own != given).sum())
        return given

    def relu(self, x, inplace=False):
        del inplace
        return x * self.decide(x, lambda values: values > 0)

    def max_pool2d(self, x, *sizes, return_indices=False, **more):
        del return_indices
        indices = self.decide(x, lambda values: torch.nn.functional.max_pool2d_with_indices(
            values, *sizes, **more)[1])
        return x.flatten(2).gather(2, indices.flatten(2)).view_as(indices)


def gradient_of_pytorch(name, state, dtype, pixels, decisions):
    network = network_of(name, state).to(dtype)
    inputs = torch.from_numpy(pixels).to(dtype)
    with mock.patch.multiple(torch.nn.functional, relu=decisions.relu,
                             max_pool2d=decisions.max_pool2d):
        loss_of(network(inputs), torch.arange(len(pixels))).backward()
    return {key: value.grad.numpy() for key, value in network.named_parameters()}


def error_of(gradient, exact):
    """By norm over all parameters, as a share of the exact gradient's."""
    off = sum(float(numpy.sum((gradient[key] - value) ** 2)) for key, value in exact.items())
    return (off / sum(float(numpy.sum(value ** 2)) for value in exact.values())) ** 0.5


class Steps(oracle.Program):
    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)

    def prepare(self, name, file, size, count):
        """Everything in the folder. Picture i, alone in its class folder, is record i of class i.
        Returns the first weights, and the pictures as the network sees them."""
        pixels, _ = oracle.draw(count, 3, size)
        for number, picture in enumerate(pixels):
            rows = [row.tobytes() for row in picture.transpose(1, 2, 0)]
            self.write(f"pictures/{number}/0.png", pictures.png(size, size, rows))
        self.convoy("import", "pictures", "pictures", "data")
        self.write("model.yaml", model_text(file, size))
        self.write("recipe.yaml", RECIPE.format(mean=oracle.MEAN, std=oracle.DEVIATION, count=count))
        state = network_of(name).state_dict()
        safetensors.write(self.path("first.safetensors"),
                          {key: (value.shape, value.numpy().tobytes())
                           for key, value in state.items() if "num_batches" not in key})
        inputs = (pixels.astype(numpy.float32) - 95.625) / 64
        self.write("pixels", inputs.tobytes())
        return state, inputs

    def gradient_of_convoy(self, names, switch):
        self.convoy("train", "recipe.yaml", "--run", switch, f"engine.winograd={switch}")
        checkpoint = self.path(switch, "checkpoints", "step-000000001.safetensors")
        tensors = safetensors.Checkpoint(checkpoint).tensors
        os.remove(checkpoint)
        return {name: numpy.frombuffer(tensors["optimizer.momentum." + name][2], "<f4").reshape(
                    tensors[name][1]) for name in names}

    def decisions_of_convoy(self, like, switch, count):
        """The values by which our program decided, each as long as one of `like`."""
        subprocess.run([DECISIONS, "model.yaml", "first.safetensors", "pixels", str(count), switch,
                        "decisions"], cwd=self.folder, check=True)
        values = torch.from_numpy(numpy.fromfile(self.path("decisions"), "<f4"))
        return values.split([value.numel() for value in like])

    def error(self, name, state, inputs, gradient, values):
        """Of a gradient whose maker decided by `values`; and how many decisions were other ones than
        those of float64."""
        decisions = Decisions(values)
        exact = gradient_of_pytorch(name, state, torch.float64, inputs, decisions)
        self.assertLess(decisions.others, decisions.count / 10000)
        return error_of(gradient, exact), decisions.others

    def compare(self, name, file, size, count):
        state, inputs = self.prepare(name, file, size, count)
        single = Decisions()
        gradient = gradient_of_pytorch(name, state, torch.float32, inputs, single)
        found = {"float32": self.error(name, state, inputs, gradient, single.taken)}
        names = list(gradient)
        for kind, switch in (("direct", "off"), ("winograd", "on")):
            gradient = self.gradient_of_convoy(names, switch)
            values = self.decisions_of_convoy(single.taken, switch, count)
            found[kind] = self.error(name, state, inputs, gradient, values)
        print(f"{name}: " + ", ".join(f"{kind} is off by {error:.1e} ({others} decisions)"
                                      for kind, (error, others) in found.items()), flush=True)
        self.assertNotEqual(found["winograd"], found["direct"], "Winograd was not used")
        self.assertLessEqual(found["direct"][0], 2 * found["float32"][0])
        self.assertLessEqual(found["winograd"][0], 10 * found["float32"][0])

    def test_step__alexnet(self):
        self.compare("alexnet", "alexnet-torchvision", 96, 2)

    def test_step__vgg11(self):
        self.compare("vgg11", "vgg11", 32, 2)

    def test_step__googlenet(self):
        self.compare("googlenet", "googlenet-torchvision", 64, 4)

    def test_step__resnet18(self):
        self.compare("resnet18", "resnet18", 64, 4)

    def test_step__resnet50(self):
        self.compare("resnet50", "resnet50", 64, 4)


if __name__ == "__main__":
    print(f"program {bench.PROGRAM}, PyTorch {torch.__version__}, seed {oracle.SEED}",
          file=sys.stderr)
    DECISIONS = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1] + [f"Steps.test_step__{name}" for name in sys.argv[2:]])
