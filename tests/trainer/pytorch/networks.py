"""The networks of the comparison, once as Convoy's models and once in PyTorch, with the same names
of parameters. The sizes are odd on purpose: no channel count is a multiple of 16."""
import torch
from torch import nn
from torch.nn import functional

LENET = """\
input: {channels: 1, height: 28, width: 28}
layers:
  - conv:    {name: conv1, out: 6, kernel: 5, pad: 2}
  - tanh:
  - maxpool: {kernel: 2, stride: 2}
  - conv:    {name: conv2, out: 16, kernel: 5}
  - relu:
  - avgpool: {kernel: 2, stride: 2}
  - flatten:
  - linear:  {name: fc1, out: 120}
  - sigmoid:
  - linear:  {name: fc2, out: 84}
  - relu:
  - linear:  {name: fc3, out: 10}
"""

RESIDUAL = """\
input: {channels: 3, height: 32, width: 32}
layers:
  - conv:      {name: conv1, out: 12, kernel: 3, pad: 1, bias: false}
  - batchnorm: {name: bn1}
  - relu:
  - maxpool:   {kernel: 3, stride: 2, pad: 1}
  - residual:
      name: block1
      body:
        - conv:      {name: conv1, out: 12, kernel: 3, pad: 1, bias: false}
        - batchnorm: {name: bn1}
        - relu:
        - conv:      {name: conv2, out: 12, kernel: 3, pad: 1, bias: false}
        - batchnorm: {name: bn2}
  - relu:
  - residual:
      name: block2
      body:
        - conv:      {name: conv1, out: 20, kernel: 3, stride: 2, pad: 1, bias: false}
        - batchnorm: {name: bn1}
        - relu:
        - conv:      {name: conv2, out: 20, kernel: 3, pad: 1, bias: false}
        - batchnorm: {name: bn2}
      shortcut:
        - conv:      {name: conv3, out: 20, kernel: 1, stride: 2, bias: false}
        - batchnorm: {name: bn3}
  - relu:
  - avgpool:   {global: true}
  - linear:    {name: fc, out: 10}
"""


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = functional.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = functional.avg_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.sigmoid(self.fc1(torch.flatten(x, 1)))
        return self.fc3(torch.relu(self.fc2(x)))


class LeafBatchNorm(nn.BatchNorm2d):
    """Batch norm that loops over the leaves of a batch. The running statistics take one step
    towards the mean of the leaves' statistics, weighted by their counts of pictures."""

    leaves = None  # pictures of each leaf; None: the batch is one leaf, PyTorch's own way

    def forward(self, x):
        if self.leaves is None:
            return super().forward(x)
        outputs = []
        mean = torch.zeros_like(self.running_mean)
        variance = torch.zeros_like(self.running_var)
        for leaf in x.split(self.leaves):
            leaf_mean, leaf_variance = torch.zeros_like(mean), torch.ones_like(variance)
            # With momentum 1 the "running" statistics are those of the leaf.
            outputs.append(functional.batch_norm(leaf, leaf_mean, leaf_variance, self.weight,
                                                 self.bias, True, 1.0, self.eps))
            mean += leaf_mean * len(leaf) / len(x)
            variance += leaf_variance * len(leaf) / len(x)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        return torch.cat(outputs)


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = LeafBatchNorm(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = LeafBatchNorm(out)
        self.conv3 = None
        if channels != out:
            self.conv3 = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.bn3 = LeafBatchNorm(out)

    def forward(self, x):
        way = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(way + (x if self.conv3 is None else self.bn3(self.conv3(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.bn1 = LeafBatchNorm(12)
        self.block1 = Block(12, 12, 1)
        self.block2 = Block(12, 20, 2)
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.block2(self.block1(x)).mean((2, 3)))
