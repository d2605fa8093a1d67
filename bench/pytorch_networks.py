"""The networks of peers.py in PyTorch: torchvision's, and those that it does not have."""
import torchvision
from torch import nn
from torch.nn import functional

PICTURE = (3, 224, 224)
PICTURES = {"inception_v3": (3, 299, 299), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32)}
# First weights have no part in how fast a step is; these networks take seconds to draw theirs.
DRAWN_PLAINLY = {"vgg16": {"init_weights": False},
                 "googlenet": {"aux_logits": True, "init_weights": False},
                 "inception_v3": {"aux_logits": True, "init_weights": False}}


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def zfnet():
    return nn.Sequential(
        nn.Conv2d(3, 96, 7, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
        nn.Conv2d(96, 256, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 1000))


class BasicBlock(nn.Module):
    """Where it steps by 2 its shortcut skips pixels and adds channels of zeros."""

    def __init__(self, channels, output):
        super().__init__()
        self.stride, self.more = output // channels, output - channels
        self.way = nn.Sequential(
            nn.Conv2d(channels, output, 3, self.stride, padding=1, bias=False),
            nn.BatchNorm2d(output), nn.ReLU(),
            nn.Conv2d(output, output, 3, padding=1, bias=False), nn.BatchNorm2d(output))

    def forward(self, x):
        shortcut = x
        if self.more:
            shortcut = functional.pad(x[:, :, ::self.stride, ::self.stride],
                                      (0, 0, 0, 0, 0, self.more))
        return functional.relu(self.way(x) + shortcut)


def resnet20():
    widths = [16] * 4 + [32] * 3 + [64] * 3
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        *map(BasicBlock, widths, widths[1:]),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


OWN = {"lenet5": lenet5, "resnet20": resnet20, "zfnet": zfnet}


def create(name):
    """A network, and the shape of its pictures."""
    if name in OWN:
        network = OWN[name]()
    else:
        network = getattr(torchvision.models, name)(weights=None, **DRAWN_PLAINLY.get(name, {}))
    return network, PICTURES.get(name, PICTURE)
