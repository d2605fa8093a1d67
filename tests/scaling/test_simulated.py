#!/usr/bin/env python3
"""The exchange on simulated hosts (bench/scaling): the bits of the tree on any number of ranks, and
what a step takes where anyone can work it out."""
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench", "scaling"))

import fat_tree  # noqa: E402
import replay  # noqa: E402

SKIPPED = 77
SPEED = 10  # Gbit/s
# Forward, backward in five parts, and the update: as profile.h says. Buckets cut across the parts.
FLOATS = (30000, 17, 25000, 0, 1000)
PROFILE = "0.05 0\n" + "".join(f"0.01 {floats}\n" for floats in FLOATS) + "0 0\n"
COMPUTED = 0.1
BUCKET = 40000


class Simulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="convoy-scaling-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.checked = replay.build(cls.folder, "checked")
        cls.simulated = replay.build(cls.folder, "simulated")

    def run_profile(self, program, profile, ranks, *arguments, allreduce=None):
        path = os.path.join(self.folder, "profile.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write(profile)
        network = fat_tree.write(self.folder, ranks, SPEED)
        return replay.simulate(program, network, [path, *arguments], allreduce)

    def test_sums_are_those_of_the_tree(self):
        for ranks, leaves, progress in ((1, 1, "inline"), (2, 2, "thread"), (3, 4, "inline"),
                                        (3, 32, "thread"), (5, 8, "thread"), (6, 64, "inline"),
                                        (8, 8, "inline"), (16, 16, "thread"), (16, 16, "inline")):
            with self.subTest(ranks=ranks, leaves=leaves, progress=progress):
                steps = self.run_profile(self.checked, PROFILE, ranks, "tree", progress, BUCKET,
                                         leaves, 2, 1, "check")
                self.assertEqual(len(steps), 2)

    def test_other_sums_are_noticed(self):
        with self.assertRaisesRegex(RuntimeError, "but the tree says"):
            self.run_profile(self.checked, PROFILE, 3, "ring", "inline", BUCKET, 4, 1, 1, "check")

    def test_without_data_a_step_takes_as_long(self):
        """But for the additions, of 56,017 floats at 20 GB a second."""
        for ranks, progress in ((4, "inline"), (8, "thread")):
            with self.subTest(ranks=ranks):
                seconds = [self.run_profile(program, PROFILE, ranks, "tree", progress, BUCKET,
                                            ranks, 1, 1)
                           for program in (self.checked, self.simulated)]
                self.assertAlmostEqual(seconds[0][0], seconds[1][0], delta=1e-4)
                self.assertGreater(seconds[0][0], COMPUTED)

    def test_wire_time_is_that_of_the_link(self):
        """80 MB become final when everything is computed: each of two hosts sends them once."""
        profile = "0 0\n0.1 20000000\n0 0\n"
        wire = 80e6 / (SPEED / 8 * 1e9 * fat_tree.PAYLOAD) * fat_tree.BOTH_WAYS
        adding = 12 * 10e6 / 20e9
        for exchange, theirs in (("tree", None), ("ring", None), ("allreduce", "lr")):
            with self.subTest(exchange=exchange):
                found = self.run_profile(self.simulated, profile, 2, exchange, "thread", 80000000, 2,
                                         1, 1, allreduce=theirs)[0]
                wanted = COMPUTED + wire + (0 if theirs else adding)
                self.assertAlmostEqual(found, wanted, delta=0.001 * wanted)

    def test_a_rank_of_several_subtrees_sends_each(self):
        """Of 4 leaves three ranks have 1, 1 and 2, of 8 they have 2, 3 and 3: a subtree each, or 1,
        2 and 2. Of each a rank sends a third to each of the others, then a third of the sums; who
        has most leaves computes longest; and every owner adds as many thirds as there are subtrees,
        and copies one, which may lie within the wire time."""
        size, ranks = 60e6, 3
        profile = f"0 0\n{COMPUTED} {int(size / 4)}\n0 0\n"
        vector = size / (SPEED / 8 * 1e9 * fat_tree.PAYLOAD)
        for leaves, most_leaves, most_subtrees, subtrees in ((4, 2, 1, 3), (8, 3, 2, 5)):
            with self.subTest(leaves=leaves):
                found = self.run_profile(self.simulated, profile, ranks, "tree", "thread", int(size),
                                         leaves, 1, 1)[0]
                computed = COMPUTED * most_leaves * ranks / leaves
                wire = vector * (most_subtrees + 1) * (ranks - 1) / ranks
                adding = (3 * (subtrees - 1) + 2) * size / ranks / 20e9
                self.assertGreater(found, computed + wire)
                self.assertLess(found, 1.001 * (computed + wire * fat_tree.BOTH_WAYS + adding))


if __name__ == "__main__":
    if shutil.which("smpicc") is None:
        print("skipped: smpicc is not installed (package libsimgrid-dev)")
        sys.exit(SKIPPED)
    unittest.main()
