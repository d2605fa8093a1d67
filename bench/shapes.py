"""Convolutions that users try and no network of the goals has: their rows show that none is slow
by accident. Each is as `convoy inspect --json` tells a layer."""
from typing import NamedTuple


class Shapes(NamedTuple):
    name: str
    batch: int
    layers: tuple


def pair(size):
    return list(size) if isinstance(size, tuple) else [size, size]


def conv(channels, size, output, kernel, stride=1, pad=0, dilation=1, groups=1):
    """Sizes are (height, width), or one for both."""
    shape = {"input": [channels, *pair(size)], "output": output, "kernel": pair(kernel),
             "stride": pair(stride), "pad": pair(pad), "dilation": pair(dilation), "groups": groups}
    return {"kind": "conv", "input_gradient": True, "convolution": shape}


def depthwise(channels, size, kernel, stride=1):
    return conv(channels, size, channels, kernel, stride, pad=kernel // 2, groups=channels)


def conv_transpose(channels, size, output, kernel, stride, pad=0):
    """Planned as the convolution from its output to its input, and so is its shape."""
    larger = (size - 1) * stride - 2 * pad + kernel
    return {**conv(output, larger, channels, kernel, stride, pad), "kind": "conv_transpose"}


ODD_SHAPES = Shapes("odd shapes", 8, (
    conv(256, 28, 256, 3, pad=2, dilation=2),  # DeepLab
    conv(256, 28, 256, 3, pad=4, dilation=4),
    depthwise(32, 112, 3),  # MobileNet
    depthwise(512, 14, 3),
    depthwise(64, 112, 3, stride=2),
    depthwise(256, 28, 3, stride=2),
    depthwise(96, 56, 7),  # ConvNeXt
    conv(128, 56, 128, 3, pad=1, groups=4),
    conv(128, 56, 128, 3, pad=1, groups=8),
    conv(128, 56, 128, 3, pad=1, groups=32),  # ResNeXt-50
    conv(256, 56, 256, 3, stride=2, pad=1, groups=32),
    conv_transpose(256, 14, 128, 4, stride=2, pad=1),  # DCGAN
    conv_transpose(128, 28, 64, 2, stride=2),  # U-Net
    conv(64, 28, 64, 5, pad=2),
    conv(64, 28, 128, 5, stride=2, pad=2),
    conv(64, 28, 64, 7, pad=3),
    conv(64, (32, 100), 128, 3, stride=(2, 1), pad=1),  # lines of text
    conv(64, (16, 50), 64, (3, 1), pad=(1, 0)),
))
