#!/usr/bin/env python3
"""Three steps of momentum SGD here and in PyTorch, from the same weights on the same pictures.

Usage: pytorch.py PYTORCH_STEPS (the program). For every parameter the change over the steps is held
against PyTorch's in float64, by norm: our error may be at most twice that of PyTorch in float32.
Exits with 77 (skipped) where PyTorch is not installed.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(77)

STEPS, BATCH, RATE, MOMENTUM = 3, 16, 0.1, 0.9
# Below this neither error says anything but which way the last bit fell.
NOISE = 5e-7

LENET = """
input: {channels: 1, height: 28, width: 28}
layers:
  - conv: {out: 6, kernel: 5, pad: 2, name: conv1}
  - relu:
  - maxpool: {kernel: 2}
  - conv: {out: 16, kernel: 5, name: conv2}
  - tanh:
  - avgpool: {kernel: 2}
  - linear: {out: 120, name: linear1}
  - relu:
  - linear: {out: 84, name: linear2}
  - relu:
  - linear: {out: 10, name: linear3}
"""

RESIDUAL = """
input: {channels: 3, height: 13, width: 13}
layers:
  - conv: {out: 12, kernel: 3, pad: 1, bias: false, name: conv1}
  - batchnorm: {name: bn1}
  - relu:
  - maxpool: {kernel: 3, stride: 2, pad: 1}
  - basic_block: {name: layer1, width: 12}
  - basic_block: {name: layer2, width: 20, stride: 2}
  - avgpool: {global: true}
  - linear: {out: 10, name: fc}
"""


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.linear1, self.linear2 = nn.Linear(400, 120), nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2).flatten(1)
        return self.linear3(torch.relu(self.linear2(torch.relu(self.linear1(x)))))


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        if inputs != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12)
        self.layer1 = nn.Sequential(Block(12, 12, 1))
        self.layer2 = nn.Sequential(Block(12, 20, 2))
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def state_of(model):
    return {name: value.detach().double().clone() for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def statistics_of(model):
    return {name: value.clone() for name, value in model.named_buffers()
            if not name.endswith("num_batches_tracked")}


def set_statistics(model, values):
    for name, value in model.named_buffers():
        if name in values:
            value.copy_(values[name])


def train(model, pixels, labels, leaves, kind):
    """Batch norm sees a leaf at a time; the running statistics take one step a batch, of the mean
    over the leaves."""
    model = model.to(kind).train()
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM)
    for x, y in zip(pixels.to(kind), labels):
        optimizer.zero_grad()
        before, sums = statistics_of(model), None
        for part, classes in zip(x.chunk(leaves), y.chunk(leaves)):
            set_statistics(model, before)
            loss = nn.functional.cross_entropy(model(part), classes, reduction="sum") / BATCH
            loss.backward()
            after = statistics_of(model)
            sums = after if sums is None else {k: sums[k] + after[k] for k in after}
        set_statistics(model, {k: v / leaves for k, v in sums.items()})
        optimizer.step()
    return state_of(model)


def compare(program, make, text, shape, leaves):
    torch.manual_seed(1)
    pixels = torch.randn(STEPS, BATCH, *shape)
    labels = torch.randint(0, 10, (STEPS, BATCH))
    first = make()
    weights = first.state_dict()

    def fresh():
        model = make()
        model.load_state_dict(weights)
        return model

    before = state_of(first)
    weights = {name: value.clone() for name, value in weights.items()}
    exact = train(fresh(), pixels, labels, leaves, torch.float64)
    theirs = train(fresh(), pixels, labels, leaves, torch.float32)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        pixels.numpy().tofile(os.path.join(folder, "pixels"))
        labels.numpy().astype(numpy.int32).tofile(os.path.join(folder, "labels"))
        for name, value in before.items():
            value.float().numpy().tofile(os.path.join(folder, name))
        subprocess.run([program, path, folder, str(STEPS), str(BATCH), str(leaves), str(RATE),
                        str(MOMENTUM)], check=True)
        for name, value in before.items():
            ours = numpy.fromfile(os.path.join(folder, name + ".after"), numpy.float32)
            ours = torch.from_numpy(ours).double().reshape(value.shape)
            change = (exact[name] - value).norm()
            own = float((ours - exact[name]).norm() / change)
            other = float((theirs[name] - exact[name]).norm() / change)
            good = change > 1e-3 * value.norm() and own <= 2 * max(other, NOISE)
            failures += not good
            print(f"{'ok  ' if good else 'FAIL'} {name:34} moved {float(change):9.2e}"
                  f"  our error {own:8.1e}  PyTorch's {other:8.1e}")
    return failures


def main():
    torch.set_num_threads(1)
    program = sys.argv[1]
    failures = compare(program, LeNet, LENET, (1, 28, 28), 4)
    for leaves in (1, 4):
        print(f"batch norm over {leaves} leaves")
        failures += compare(program, Residual, RESIDUAL, (3, 13, 13), leaves)
    return 1 if failures else 0


sys.exit(main())
