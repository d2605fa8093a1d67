#!/usr/bin/env python3
"""Options that give up the same bits: they train, they are named in log and checkpoint, and on the
same ranks they still give the same bits, resumed or not."""
import filecmp
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402
import safetensors  # noqa: E402

STEPS = 2  # an epoch
LONG = ("train.epochs=6", "checkpoint.every_epochs=3")


class OtherBits(bench.Bench):
    def train(self, run, ranks, *more, nodes="1,1,1,1", code=0):
        launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        done = self.run_command(["env", f"CONVOY_TEST_NODES={nodes}", *launcher, bench.PROGRAM, "train",
                                 "recipe.yaml", "--oversubscribe", "--run", run, *more])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def events(self, run, kind):
        with open(self.path(run, "metrics.jsonl"), encoding="utf-8") as file:
            return [event for event in map(json.loads, file) if event["event"] == kind]

    def checkpoint(self, run, step):
        return self.path(run, "checkpoints", f"step-{step:09d}.safetensors")

    def assert_same(self, one, other, step):
        self.assertTrue(filecmp.cmp(self.checkpoint(one, step), self.checkpoint(other, step), False),
                        f"{one} and {other} differ at step {step}")

    def assert_near(self, one, other, step, most):
        """No weight differs by more than `most`."""
        first, second = (safetensors.Checkpoint(self.checkpoint(run, step)) for run in (one, other))
        differences = [abs(a - b) for name in first.tensors
                       if not name.startswith(("optimizer.", "exchange."))
                       for a, b in zip(first.numbers(name), second.numbers(name))]
        self.assertLess(max(differences), most)

    def assert_named(self, run, step, key, value):
        self.assertIn(f"{key}: {value}", self.read(f"{run}/log.txt").decode())
        recipe = safetensors.Checkpoint(self.checkpoint(run, step)).metadata["recipe"]
        self.assertIn(f"{key.split('.')[1]}: {value}", recipe)

    def assert_learns(self, run):
        losses = [event["loss"] for event in self.events(run, "epoch")]
        self.assertLess(losses[-1], losses[0])

    def assert_bytes(self, run):
        for rank in self.events(run, "ranks")[-1]["ranks"]:
            self.assertEqual(rank["bytes_sent"], rank["bytes_expected"])


class Native(OtherBits):
    NATIVE = "exchange.algorithm=native"

    def test_trains_alike_on_any_ranks(self):
        self.train("tree", 1, *LONG)
        for ranks in (1, 2, 3, 4):
            run = f"native-{ranks}"
            self.train(run, ranks, *LONG, self.NATIVE)
            self.assert_learns(run)
            self.assert_bytes(run)
            self.assert_near("tree", run, 6 * STEPS, 1e-4)
            self.assert_named(run, 6 * STEPS, "exchange.algorithm", "native")

    def test_resumed_on_the_same_ranks_it_gives_the_same_bits(self):
        self.train("whole", 3, *LONG, self.NATIVE)
        self.train("parts", 3, *LONG, self.NATIVE, "train.epochs=3")
        self.train("parts", 3, *LONG, self.NATIVE, "--resume")
        self.assert_same("whole", "parts", 6 * STEPS)


if __name__ == "__main__":
    bench.main()
