"""The networks that torchvision has too: its random weights give the same logits in ours, and our
weights load there, every name and shape the same. Exit 77: torchvision is not installed.

    torchvision.py PROGRAM SAFETENSORS_FOLDER [NETWORK ...]
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, sys.argv[2])
sys.path = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
try:
    import numpy
    import torch
    import torchvision
except ImportError:
    print("torchvision is not installed: skipped")
    sys.exit(77)
import safetensors  # tests/support: the format by its specification

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../configs/models")
TOLERANCE = 1e-4
# torchvision's name, our file, size of a picture, whether weights go back as a file too (those of
# AlexNet and VGG are hundreds of megabytes; that no name is missing is checked for all)
NETWORKS = [
    ("alexnet", "alexnet-torchvision", 224, False),
    ("vgg11", "vgg11", 224, False),
    ("vgg13", "vgg13", 224, False),
    ("vgg16", "vgg16", 224, False),
    ("vgg19", "vgg19", 224, False),
    ("googlenet", "googlenet-torchvision", 224, True),
    ("resnet18", "resnet18", 224, True),
    ("resnet34", "resnet34", 224, False),
    ("resnet50", "resnet50", 224, False),
    ("resnet101", "resnet101", 224, False),
    ("resnet152", "resnet152", 224, False),
    ("inception_v3", "inception-v3", 299, False),
]
PICTURES = 2


def make(name):
    options = {"init_weights": False} if name.startswith(
        ("googlenet", "inception_v3", "vgg")) else {}
    model = getattr(torchvision.models, name)(weights=None, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):  # pictures stay apart through all layers
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):  # as after some training
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model.eval()


def learned(model):
    return {name: value for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def check_logits(exact, ours):
    """Relative to the largest; and pictures must differ by much more, or the test is idle."""
    largest = numpy.abs(exact).max()
    error = numpy.abs(ours - exact).max() / largest
    apart = numpy.abs(exact[0] - exact[1]).max() / largest
    return error, apart, error <= TOLERANCE and apart >= 30 * TOLERANCE


def check_back(name, path, weights):
    """Every tensor is the one that went in, and torchvision takes them strictly."""
    back = {key: torch.from_numpy(numpy.frombuffer(content, numpy.float32).reshape(shape).copy())
            for key, (_, shape, content) in safetensors.Checkpoint(path).tensors.items()}
    same = all(torch.equal(back[key], value) for key, value in weights.items() if key in back)
    model = make(name)
    tracked = {key: value for key, value in model.state_dict().items()
               if key.endswith("num_batches_tracked")}
    model.load_state_dict({**back, **tracked}, strict=True)
    return same


def compare(program, name, file, size, goes_back, folder):
    torch.manual_seed(1)
    model = make(name)
    pixels = torch.randn(PICTURES, 3, size, size)
    pixels[1] += 2  # apart by more than noise, which 152 layers would average away
    weights = learned(model)
    paths = [os.path.join(folder, part) for part in ("weights", "pixels", "logits", "back")]
    safetensors.write(paths[0], {key: (value.shape, value.numpy().tobytes())
                                 for key, value in weights.items()})
    pixels.numpy().tofile(paths[1])
    subprocess.run([program, os.path.join(MODELS, file + ".yaml"), paths[0], paths[1],
                    str(PICTURES), str(len(weights)), paths[2]] +
                   ([paths[3]] if goes_back else []), check=True)
    with torch.no_grad():
        exact = model(pixels).double().numpy()
    ours = numpy.fromfile(paths[2], numpy.float32).reshape(exact.shape)
    error, apart, good = check_logits(exact, ours)
    good = good and (not goes_back or check_back(name, paths[3], weights))
    print(f"{'ok  ' if good else 'FAIL'} {name:14} logits off by {error:8.1e}, pictures apart by "
          f"{apart:8.1e}", flush=True)
    return good


def main():
    torch.set_num_threads(2)
    failures = 0
    for network in NETWORKS:
        if sys.argv[3:] and network[0] not in sys.argv[3:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            failures += not compare(sys.argv[1], *network, folder)
    return 1 if failures else 0


sys.exit(main())
