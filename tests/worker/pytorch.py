#!/usr/bin/env python3
"""Three steps of every optimizer here and in PyTorch, from the same weights on the same pictures.

Usage: pytorch.py PYTORCH_STEPS (the program). For every parameter the change over the steps is held
against PyTorch's in float64, by norm: our error may be at most twice that of PyTorch in float32.
Exits with 77 (skipped) where PyTorch is not installed.
"""
import os
import subprocess
import sys
import tempfile
from functools import partial
from typing import Callable, NamedTuple

try:
    import numpy
    import torch
    from torch import nn
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(77)

STEPS, BATCH = 3, 16
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

HOURGLASS = """
input: {channels: 3, height: 13, width: 12}
layers:
  - conv: {out: 20, kernel: 3, stride: 2, pad: 1, name: down}
  - tanh:
  - conv_transpose: {out: 36, kernel: 3, stride: 2, pad: 1, output_pad: [0, 1], name: up1}
  - tanh:
  - conv_transpose: {out: 6, kernel: [4, 2], stride: [1, 3], dilation: [2, 1], groups: 2,
                     bias: false, name: up2}
  - avgpool: {kernel: 4}
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


class Hourglass(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 20, 3, 2, 1)
        self.up1 = nn.ConvTranspose2d(20, 36, 3, 2, 1, output_padding=(0, 1))
        self.up2 = nn.ConvTranspose2d(
            36, 6, (4, 2), (1, 3), groups=2, bias=False, dilation=(2, 1))
        self.fc = nn.Linear(6 * 4 * 8, 10)

    def forward(self, x):
        x = self.up2(torch.tanh(self.up1(torch.tanh(self.down(x)))))
        return self.fc(nn.functional.avg_pool2d(x, 4).flatten(1))


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


class Trust(torch.optim.Optimizer):
    """lars and lamb from their papers' formulas: PyTorch has neither."""
    def __init__(self, parameters, lr, **options):
        super().__init__(parameters, dict(lr=lr, **options))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                self.move(weight, weight.grad, self.state[weight], group, weight.dim() > 1)


class Lars(Trust):
    def move(self, weight, gradient, state, group, adapt):
        local = 1
        if adapt:
            local = group["trust"] * weight.norm() / (
                gradient.norm() + group["decay"] * weight.norm())
        change = group["lr"] * local * (gradient + group["decay"] * weight)
        state["v"] = group["momentum"] * state.get("v", 0) + change
        weight -= state["v"]


class Lamb(Trust):
    def move(self, weight, gradient, state, group, adapt):
        beta1, beta2 = group["betas"]
        state["t"] = state.get("t", 0) + 1
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * gradient
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * gradient ** 2
        m, v = (state["m"] / (1 - beta1 ** state["t"]), state["v"] / (1 - beta2 ** state["t"]))
        change = m / (v.sqrt() + group["eps"]) + group["decay"] * weight
        weight -= group["lr"] * (weight.norm() / change.norm() if adapt else 1) * change


class Update(NamedTuple):
    """An optimizer in a recipe's words and in PyTorch's."""
    text: str
    make: Callable
    rate: float
    clip_norm: float = 0


SGD = Update("{sgd: {momentum: 0.9}}", partial(torch.optim.SGD, momentum=0.9), 0.1)
OTHERS = [
    Update("{sgd: {momentum: 0.9}}", partial(torch.optim.SGD, momentum=0.9), 0.1, 0.25),
    # The first step of these is about rate * g / (|g| + eps), a smooth function of g from eps on.
    # With adamw's usual eps of 1e-8 three of 48,000 weights, whose gradients were 1e-8 to 1e-7 (the
    # median is 6e-4), held 93 % of the error's square, and which program erred more was chance.
    Update("{rmsprop: {smoothing: 0.9, momentum: 0.5, weight_decay: 0.01, eps: 1e-3}}",
           partial(torch.optim.RMSprop, alpha=0.9, momentum=0.5, weight_decay=0.01, eps=1e-3),
           0.001),
    Update("{adamw: {weight_decay: 0.1, eps: 1e-3}}",
           partial(torch.optim.AdamW, weight_decay=0.1, eps=1e-3), 0.01),
    Update("{lars: {trust: 0.01, weight_decay: 0.001}}",
           partial(Lars, momentum=0.9, trust=0.01, decay=0.001), 1.0),
    Update("{lamb: {eps: 1e-3}}", partial(Lamb, betas=(0.9, 0.999), eps=1e-3, decay=0.01), 0.01,
           0.25),
]


def clip(model, most):
    """Exactly to the norm, where torch.nn.utils.clip_grad_norm_ falls short by a millionth."""
    norm = torch.stack([weight.grad.norm() for weight in model.parameters()]).norm()
    if norm > most:
        for weight in model.parameters():
            weight.grad *= most / norm
    return norm


def train(model, pixels, labels, leaves, kind, update):
    """Batch norm sees a leaf at a time; the running statistics take one step a batch, of the mean
    over the leaves."""
    model = model.to(kind).train()
    optimizer = update.make(model.parameters(), lr=update.rate)
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
        if update.clip_norm:
            assert clip(model, update.clip_norm) > update.clip_norm
        optimizer.step()
    return state_of(model)


def compare(program, make, text, shape, leaves, update=SGD, whole=False):
    """`whole`: PyTorch sees the batch at once, whatever our leaves are."""
    print(f"{update.text}, clipped at {update.clip_norm or 'nothing'}")
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
    theirs = 1 if whole else leaves
    exact = train(fresh(), pixels, labels, theirs, torch.float64, update)
    theirs = train(fresh(), pixels, labels, theirs, torch.float32, update)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        pixels.numpy().tofile(os.path.join(folder, "pixels"))
        labels.numpy().astype(numpy.int32).tofile(os.path.join(folder, "labels"))
        for name, value in before.items():
            value.float().numpy().tofile(os.path.join(folder, name))
        subprocess.run([program, path, folder, str(STEPS), str(BATCH), str(leaves),
                        str(update.rate), update.text, str(update.clip_norm)], check=True)
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
    for update in OTHERS:
        failures += compare(program, LeNet, LENET, (1, 28, 28), 4, update)
    print("transposed convolutions")
    failures += compare(program, Hourglass, HOURGLASS, (3, 13, 12), 4)
    for leaves in (1, 4):
        print(f"batch norm over {leaves} leaves")
        failures += compare(program, Residual, RESIDUAL, (3, 13, 13), leaves)
    print("batch norm over the whole batch of 4 leaves")
    failures += compare(program, Residual, "batchnorm: {sync: true}" + RESIDUAL, (3, 13, 13), 4,
                        whole=True)
    return 1 if failures else 0


sys.exit(main())
