#!/usr/bin/env python3
"""The networks that bench/compare has PyTorch train are Convoy's: as many parameters, and a step of
two small pictures works. Exits with 77 (skipped) where torchvision is not installed.
"""
import json
import os
import sys
import unittest

try:
    import torch
    import torchvision  # noqa: F401
except ImportError:
    SYSTEM = "/usr/bin/python3"  # Debian's python3-torchvision belongs to Debian's Python
    if sys.executable and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and (
            os.path.exists(SYSTEM)):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    print("skipped: torchvision is not installed (Debian: python3-torchvision)")
    sys.exit(77)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tests", "support"), os.path.join(ROOT, "bench")]
import bench  # noqa: E402
import peers  # noqa: E402
import pytorch_networks  # noqa: E402


class Peers(bench.Bench):
    def test_networks_are_the_same(self):
        for of in peers.NETWORKS + peers.OTHERS:
            network, picture = pytorch_networks.create(of.name)
            report = json.loads(self.works("inspect", of.path(), "--json").stdout)["network"]
            self.assertEqual(report["input"], list(picture), of.name)
            self.assertEqual(report["parameters"],
                             sum(weights.numel() for weights in network.parameters()), of.name)

    def test_those_that_torchvision_lacks_take_pictures(self):
        for name in pytorch_networks.OWN:
            network, picture = pytorch_networks.create(name)
            output = network(torch.randn(2, *picture))
            self.assertEqual(list(output.shape), [2, 1000 if name == "zfnet" else 10])
            output.sum().backward()


if __name__ == "__main__":
    bench.main()
