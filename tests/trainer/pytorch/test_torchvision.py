#!/usr/bin/env python3
"""torchvision's ResNet-18 starts a run by train.from, as a user would do it, and the run's checkpoint
goes back: torchvision loads it strictly, every tensor moved. Exits with 77 (skipped) where torchvision
is not installed.
"""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    import torch
    import torchvision
except ImportError:
    SYSTEM = "/usr/bin/python3"  # Debian's python3-torchvision belongs to Debian's Python
    if sys.executable and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and (
            os.path.exists(SYSTEM)):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    print("skipped: torchvision is not installed (Debian: python3-torchvision)")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import bench  # noqa: E402
import pictures  # noqa: E402
import safetensors  # noqa: E402

MODEL = os.path.join(HERE, "..", "..", "..", "configs", "models", "resnet18.yaml")
RECIPE = """\
model: {model}
data:
  train: data
  transforms:
    - resize: {{size: 224}}
    - normalize: {{mean: [0.5], std: [0.25]}}
train:
  epochs: 1
  batch: 4
  leaf: 4
  seed: 1
  from: weights.safetensors
  optimizer: {{sgd: {{momentum: 0.9}}}}
  schedule: {{constant: {{rate: 0.001}}}}
checkpoint: {{every_epochs: 1, keep: 1}}
"""


def weights_of(model):
    return {name: value for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")}


class Torchvision(unittest.TestCase):
    def convoy(self, folder, *arguments):
        done = subprocess.run([bench.PROGRAM, *arguments], cwd=folder, env=bench.environment(),
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=bench.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_run_starts_from_torchvision_and_goes_back(self):
        torch.manual_seed(1)
        before = weights_of(torchvision.models.resnet18(weights=None))
        with tempfile.TemporaryDirectory() as folder:
            pictures.draw(os.path.join(folder, "pictures"), 4, 2, 64, 64, 1)
            safetensors.write(os.path.join(folder, "weights.safetensors"),
                              {name: (value.shape, value.numpy().tobytes())
                               for name, value in before.items()})
            with open(os.path.join(folder, "recipe.yaml"), "w", encoding="utf-8") as file:
                file.write(RECIPE.format(model=os.path.abspath(MODEL)))
            self.convoy(folder, "import", "pictures", "pictures", "data")
            self.convoy(folder, "train", "recipe.yaml", "--run", "run")
            (path,) = glob.glob(os.path.join(folder, "run", "checkpoints", "*.safetensors"))
            tensors = safetensors.Checkpoint(path).tensors
        model = torchvision.models.resnet18(weights=None)
        state = model.state_dict()
        for name in before:
            _, shape, content = tensors[name]
            state[name] = torch.from_numpy(
                numpy.frombuffer(content, numpy.float32).reshape(shape).copy())
            self.assertFalse(torch.equal(state[name], before[name]), f"{name} did not move")
        known = set(before) | {name for name in tensors if name.startswith("optimizer.")}
        self.assertEqual(set(tensors), known)
        model.load_state_dict(state, strict=True)


if __name__ == "__main__":
    unittest.main()
