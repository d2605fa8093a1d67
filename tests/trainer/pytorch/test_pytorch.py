#!/usr/bin/env python3
"""Convoy against PyTorch: the same weights and pictures in, three steps of momentum SGD.

The change of every parameter is compared, by norm, with PyTorch in float64; Convoy's error may be at
most twice that of PyTorch in float32. Exits with 77 (skipped) where PyTorch is not installed.
"""
import os
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    import torch
except ImportError:
    SYSTEM = "/usr/bin/python3"  # Debian's python3-torch belongs to Debian's Python
    if sys.executable and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and (
            os.path.exists(SYSTEM)):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    print("skipped: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import bench  # noqa: E402
import networks  # noqa: E402
import safetensors  # noqa: E402

STEPS = 3
SEED = 20261124
# Exact in float32, so that no error comes from rounding the options; and normalised pixels are
# (pixel - 95.625) / 64, exact too. Their mean is not 0: the running mean of the first batch norm
# would be what is left of a sum that cancels, and the errors of both sides a matter of luck.
MOMENTUM, DECAY = 0.875, 2.0 ** -10
MEAN, DEVIATION = 95.625 / 255, 64 / 255

RECIPE = """\
model: model.yaml
data:
  train: data/train
  shuffle: none
  transforms:
    - normalize: {{mean: [{mean}], std: [{std}]}}
train:
  epochs: {steps}
  batch: {batch}
  leaf: {leaf}
  from: first.safetensors
  loss: cross_entropy
  optimizer: {{sgd: {{momentum: {momentum}, weight_decay: {decay}}}}}
  schedule: {{constant: {rate}}}
"""


def draw(pictures, channels, size):
    """Stripes and noise; every class has its own stripes."""
    random = numpy.random.RandomState(SEED)
    labels = random.randint(0, 10, pictures).astype(numpy.uint8)
    rows = numpy.arange(size).reshape(1, 1, size, 1)
    stripes = 60 * ((rows // (1 + labels.reshape(-1, 1, 1, 1) % 5)) % 2)
    noise = random.randint(0, 196, (pictures, channels, size, size))
    return (stripes + noise).astype(numpy.uint8), labels


def write_idx(folder, pixels, labels):
    """The four files of MNIST; the test set is the training set."""
    for part in ("train", "t10k"):
        with open(os.path.join(folder, f"{part}-images-idx3-ubyte"), "wb") as file:
            count, _, height, width = pixels.shape
            file.write(struct.pack(">IIII", 0x803, count, height, width) + pixels.tobytes())
        with open(os.path.join(folder, f"{part}-labels-idx1-ubyte"), "wb") as file:
            file.write(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())


def write_cifar10(folder, pixels, labels):
    """The five batches and the test batch of CIFAR-10's binary version."""
    with open(os.path.join(folder, "batches.meta.txt"), "w", encoding="ascii") as file:
        file.write("".join(f"class{number}\n" for number in range(10)))
    records = [bytes([label]) + picture.tobytes() for picture, label in zip(pixels, labels)]
    for batch, numbers in enumerate(numpy.array_split(numpy.arange(len(records)), 5), 1):
        with open(os.path.join(folder, f"data_batch_{batch}.bin"), "wb") as file:
            file.write(b"".join(records[number] for number in numbers))
    with open(os.path.join(folder, "test_batch.bin"), "wb") as file:
        file.write(records[0])


def state_of(network):
    """Parameters and running statistics as float64, by name."""
    return {name: value.detach().numpy().astype(numpy.float64)
            for name, value in network.state_dict().items() if "num_batches" not in name}


def train_pytorch(network, dtype, pixels, labels, rate):
    """What the parameters are after the steps."""
    torch.set_num_threads(1)
    network = network.to(dtype)
    inputs = (torch.from_numpy(pixels).to(dtype) - 95.625) / 64
    targets = torch.from_numpy(labels.astype(numpy.int64))
    optimizer = torch.optim.SGD(network.parameters(), rate, MOMENTUM, weight_decay=DECAY)
    network.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
    return state_of(network)


class Program(unittest.TestCase):
    """The program, typed in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-pytorch-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def convoy(self, *arguments):
        done = subprocess.run([bench.PROGRAM, *arguments], cwd=self.folder,
                              env=bench.environment(), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=bench.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


class Pytorch(Program):
    rate = 0.0625

    def train_convoy(self, model, first, batch, leaf, *overrides):
        with open(os.path.join(self.folder, "model.yaml"), "w", encoding="ascii") as file:
            file.write(model)
        with open(os.path.join(self.folder, "recipe.yaml"), "w", encoding="ascii") as file:
            file.write(RECIPE.format(mean=MEAN, std=DEVIATION, steps=STEPS, batch=batch, leaf=leaf,
                                     momentum=MOMENTUM, decay=DECAY, rate=self.rate))
        safetensors.write(os.path.join(self.folder, "first.safetensors"),
                          {name: (value.shape, value.astype("<f4").tobytes())
                           for name, value in first.items()})
        self.convoy("train", "recipe.yaml", "--run", "run", *overrides)
        checkpoint = safetensors.Checkpoint(os.path.join(
            self.folder, "run", "checkpoints", f"step-{STEPS:09d}.safetensors"))
        return {name: numpy.array(checkpoint.numbers(name), numpy.float64).reshape(value.shape)
                for name, value in first.items()}

    def errors(self, kind, model, pixels, labels, batch, leaf, leaves, overrides=()):
        """By parameter: (error of Convoy, error of PyTorch in float32, what is allowed)."""
        def network():
            torch.manual_seed(SEED)
            made = kind()
            for module in made.modules():
                if isinstance(module, networks.LeafBatchNorm):
                    module.leaves = leaves
            return made
        first = state_of(network())
        exact = train_pytorch(network(), torch.float64, pixels, labels, self.rate)
        single = train_pytorch(network(), torch.float32, pixels, labels, self.rate)
        ours = self.train_convoy(model, first, batch, leaf, *overrides)
        found = {}
        print(f"\n{'parameter':24} {'change':>9} {'convoy':>9} {'float32':>9} ratio")
        for name, start in first.items():
            change = numpy.linalg.norm(exact[name] - start)
            self.assertGreater(change, 5e-4 * numpy.linalg.norm(start), f"{name} hardly moved")
            error = numpy.linalg.norm(ours[name] - exact[name])
            theirs = numpy.linalg.norm(single[name] - exact[name])
            # Weights are kept in float32: half an ulp of each is no error of ours.
            rounding = numpy.linalg.norm(exact[name]) * 2.0 ** -25
            found[name] = (error, theirs, 2 * theirs + rounding)
            print(f"{name:24} {change:9.2e} {error / change:9.2e} {theirs / change:9.2e} "
                  f"{error / max(theirs, 1e-300):5.2f}")
        return found

    def assert_close(self, errors):
        for name, (error, theirs, allowed) in errors.items():
            self.assertLessEqual(error, allowed, f"{name}: float32 errs by {theirs}")

    def lenet(self, *overrides):
        self.rate = 0.25  # its sigmoid lets little through
        pixels, labels = draw(48, 1, 28)
        write_idx(self.folder, pixels, labels)
        self.convoy("import", "idx", ".", "data")
        return self.errors(networks.LeNet, networks.LENET, pixels, labels, 48, 12, None, overrides)

    def residual(self, pictures, batch, leaf, leaves):
        pixels, labels = draw(pictures, 3, 32)
        write_cifar10(self.folder, pixels, labels)
        self.convoy("import", "cifar10", ".", "data")
        return self.errors(networks.Residual, networks.RESIDUAL, pixels, labels, batch, leaf,
                           leaves)

    def test_pytorch__lenet5_moves_as_in_float64(self):
        self.assert_close(self.lenet())

    def test_pytorch__residual_network_with_one_leaf(self):
        self.assert_close(self.residual(24, 24, 24, None))

    def test_pytorch__residual_network_leaf_by_leaf(self):
        # A short batch: 22 pictures in four leaves of six are 6, 6, 5, 5.
        self.assert_close(self.residual(22, 24, 6, [6, 6, 5, 5]))

    def test_pytorch__a_little_less_momentum_is_noticed(self):
        errors = self.lenet(f"train.optimizer.sgd.momentum={MOMENTUM * (1 - 1e-4)}")
        noticed = [name for name, (error, _, allowed) in errors.items() if error > allowed]
        self.assertGreater(len(noticed), len(errors) / 2, noticed)


if __name__ == "__main__":
    print(f"program {bench.PROGRAM}, PyTorch {torch.__version__}, seed {SEED}", file=sys.stderr)
    unittest.main()
