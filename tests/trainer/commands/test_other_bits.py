#!/usr/bin/env python3
"""Options that give up the same bits: they train, they are named in log and checkpoint, and on the
same ranks they still give the same bits, resumed or not."""
import filecmp
import json
import os
import signal
import subprocess
import sys
import time

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
            lines = [line for line in file if line.endswith("\n")]
        return [event for event in map(json.loads, lines) if event["event"] == kind]

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

    def assert_resumes(self, ranks, *options, half=3 * STEPS):
        """Stopped after `half` steps and resumed on as many ranks, a run ends with the same bits."""
        whole, parts = f"whole-{ranks}", f"parts-{ranks}"
        self.train(whole, ranks, *options)
        self.train(parts, ranks, *options, f"train.steps={half}")
        self.train(parts, ranks, *options, "--resume")
        self.assert_same(whole, parts, 6 * STEPS)

    def assert_bytes(self, run):
        for rank in self.events(run, "ranks")[-1]["ranks"]:
            self.assertEqual(rank["bytes_sent"], rank["bytes_expected"])


class Native(OtherBits):
    NATIVE = "exchange.algorithm=native"

    def test_trains_alike_on_any_ranks(self):
        self.train("tree", 1, *LONG)
        for ranks in (1, 3, 4):
            run = f"native-{ranks}"
            self.train(run, ranks, *LONG, self.NATIVE)
            self.assert_learns(run)
            self.assert_bytes(run)
            self.assert_near("tree", run, 6 * STEPS, 1e-4)
            self.assert_named(run, 6 * STEPS, "exchange.algorithm", "native")

    def test_resumed_on_the_same_ranks_it_gives_the_same_bits(self):
        self.assert_resumes(3, *LONG, self.NATIVE)

    def test_whoever_resumes_with_another_algorithm_is_refused(self):
        self.train("run", 2, self.NATIVE)
        done = self.train("run", 2, "--resume", "train.epochs=3", code=2)
        self.assertIn("exchange.algorithm is tree here and native in", done.stderr)


class Wire(OtherBits):
    BF16 = "exchange.wire=bf16"

    def sent(self, run):
        return sum(rank["bytes_sent"] for rank in self.events(run, "ranks")[-1]["ranks"])

    def test_halves_the_bytes_and_trains_alike(self):
        self.train("wide", 4, *LONG)
        self.train("narrow", 4, *LONG, self.BF16)
        self.assert_learns("narrow")
        self.assert_bytes("narrow")
        self.assert_near("wide", "narrow", 6 * STEPS, 5e-3)
        self.assert_named("narrow", 6 * STEPS, "exchange.wire", "bf16")
        # All but agreements and sums of the loss, which are small beside the weights. Between two
        # nodes: what is small goes whole among more in float32, and that is more bytes.
        for run, options in (("all", ()), ("half", (self.BF16,))):
            self.train(run, 2, *options)
        self.assertGreater(self.sent("half"), 0.5 * self.sent("all"))
        self.assertLess(self.sent("half"), 0.6 * self.sent("all"))

    def test_bits_depend_on_nodes_alone(self):
        self.train("one", 2, *LONG, self.BF16, nodes="1,1")
        self.train("other", 4, *LONG, self.BF16, "exchange.bucket=4KiB", "train.threads=2", nodes="2,2")
        self.assert_same("one", "other", 6 * STEPS)

    def test_on_one_node_it_is_the_tree(self):
        self.train("one", 1, *LONG, self.BF16)
        self.train("other", 3, *LONG, self.BF16, nodes="3")
        self.assert_same("one", "other", 6 * STEPS)
        self.assertIn("all ranks are on one", self.read("one/log.txt").decode())

    def test_resumed_on_the_same_nodes_it_gives_the_same_bits(self):
        for ranks, optimizer in ((3, "{sgd: {momentum: 0.9}}"), (2, "{lars: {trust: 0.02}}")):
            options = (*LONG, self.BF16, f"train.optimizer={optimizer}", "train.clip_norm=9")
            options = options if ranks == 2 else options[:-1]
            self.assert_resumes(ranks, *options)

    def test_what_was_left_out_is_in_the_checkpoint(self):
        self.train("run", 3, self.BF16, nodes="1,2")
        left = safetensors.Checkpoint(self.checkpoint("run", 2 * STEPS))
        for vector in ("owed", "node0", "node1"):
            values = left.numbers(f"exchange.{vector}.linear1.weight")
            weights = left.numbers("linear1.weight")
            self.assertGreater(sum(value != 0 for value in values), len(values) // 2, vector)
            self.assertLess(max(map(abs, values)), 0.1 * max(map(abs, weights)), vector)

    def test_whoever_resumes_with_another_wire_is_refused(self):
        self.train("narrow", 2, self.BF16, nodes="1,1")
        done = self.train("narrow", 2, "--resume", "train.epochs=3", nodes="1,1", code=2)
        self.assertIn("exchange.wire is float32 here and bf16 in", done.stderr)
        self.train("wide", 2, nodes="1,1")
        done = self.train("wide", 2, self.BF16, "--resume", "train.epochs=3", nodes="1,1", code=2)
        self.assertIn("exchange.wire is bf16 here and float32 in", done.stderr)

    def test_on_other_nodes_it_is_dropped_with_a_word(self):
        self.train("run", 2, self.BF16, nodes="1,1")
        done = self.train("run", 1, self.BF16, "--resume", "train.epochs=4")
        self.assertIn("of another number of nodes", done.stderr)

    def test_needs_the_tree(self):
        self.refuses(2, ["exchange.wire: bf16 needs exchange.algorithm: tree"],
                     "train", "recipe.yaml", self.BF16, "exchange.algorithm=native")


class LocalSteps(OtherBits):
    LOCAL = "train.local_steps=4"  # of twelve, two an epoch

    def test_trains_and_is_named(self):
        self.train("joint", 1, *LONG)
        for ranks in (1, 3):
            run = f"local-{ranks}"
            self.train(run, ranks, *LONG, self.LOCAL, nodes="1,2,1")
            self.assert_learns(run)
            self.assert_bytes(run)
            self.assert_named(run, 6 * STEPS, "train.local_steps", "4")
            self.assert_near("joint", run, 6 * STEPS, 0.1)
        self.assert_near("joint", "local-1", 6 * STEPS, 1e-9)  # whose steps are all the steps

    def test_what_is_due_waits_for_the_next_average(self):
        self.train("run", 2, "train.epochs=5", self.LOCAL, "checkpoint.every_epochs=1",
                   "data.validation=data/train")
        steps = [4, 8, 10]
        self.assertEqual([event["step"] for event in self.events("run", "validation")], steps)
        self.assertEqual(sorted(int(name[5:14]) for name in os.listdir(self.path("run/checkpoints"))
                                if name.startswith("step-")), steps)
        self.assertEqual(len(self.events("run", "epoch")), 5)

    def test_resumed_on_the_same_ranks_it_gives_the_same_bits(self):
        self.assert_resumes(3, *LONG, self.LOCAL, "train.ema=0.9", half=8)

    def test_a_signal_waits_for_the_next_average(self):
        command = ["mpirun", "-n", "2", bench.PROGRAM, "train", "recipe.yaml", "--oversubscribe",
                   "--run", "run", "train.steps=100000", self.LOCAL, "checkpoint.every_epochs=0"]
        job = subprocess.Popen(command, cwd=self.folder, env=bench.environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        limit = time.monotonic() + bench.TIMEOUT
        while time.monotonic() < limit and not (
                os.path.exists(self.path("run", "metrics.jsonl")) and self.events("run", "step")):
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        job.wait(bench.TIMEOUT)
        names = [name for name in os.listdir(self.path("run/checkpoints")) if name.startswith("step-")]
        self.assertEqual(len(names), 1, names)
        self.assertEqual(int(names[0][5:14]) % 4, 0, names)

    def test_refuses_what_makes_no_sense(self):
        self.refuses(2, ["exchange.wire: bf16", "train.local_steps = 4"],
                     "train", "recipe.yaml", self.LOCAL, "exchange.wire=bf16")
        self.replace("model.yaml", "  - relu:\n", "  - batchnorm: {sync: true}\n  - relu:\n")
        self.refuses(2, ["batch norm over the whole batch (sync)", "train.local_steps"],
                     "train", "recipe.yaml", "--run", "run", self.LOCAL)


if __name__ == "__main__":
    bench.main()
