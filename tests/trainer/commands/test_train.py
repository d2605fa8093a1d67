#!/usr/bin/env python3
"""convoy train: folders, resuming, signals, early stopping, what is best, starting weights."""
import filecmp
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402
import safetensors  # noqa: E402

STEPS = 2  # an epoch: 60 pictures in batches of 32, the second one short


class Train(bench.Bench):
    def train(self, *more, code=0, launcher=()):
        done = self.run_command([*launcher, bench.PROGRAM, "train", "recipe.yaml",
                                 "--oversubscribe", *more])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def events(self, run, kind):
        with open(self.path(run, "metrics.jsonl"), encoding="utf-8") as file:
            return [event for event in map(json.loads, file) if event["event"] == kind]

    def checkpoints(self, run):
        return sorted(int(os.path.basename(path)[5:14])
                      for path in glob.glob(self.path(run, "checkpoints", "step-*")))

    def checkpoint(self, run, step):
        return self.path(run, "checkpoints", f"step-{step:09d}.safetensors")

    def assert_same(self, one, other, step):
        self.assertTrue(filecmp.cmp(self.checkpoint(one, step), self.checkpoint(other, step), False),
                        f"{one} and {other} differ at step {step}")


class Published(Train):
    def test_lenet5_of_1998_learns_with_its_own_loss(self):
        """Trainable pools, a table of connections, fixed codes as output."""
        model = os.path.join(bench.HERE, "..", "..", "configs", "models", "lenet5-1998.yaml")
        self.works("import", "pictures", "pictures", "data/grey", "--channels", "grey", "--size", "32x32")
        self.write("recipe.yaml", f"""\
model: {model}
data:
  train: data/grey
  validation: data/grey
  transforms:
    - normalize: {{mean: [0.45], std: [0.25]}}
train:
  epochs: 30
  batch: 10
  leaf: 5
  loss: {{lenet5: {{j: 1}}}}
  optimizer: {{sgd: {{momentum: 0.9}}}}
  schedule: {{constant: {{rate: 0.0005}}}}
""")
        self.train("--run", "a")
        losses = [event["loss"] for event in self.events("a", "step")]
        self.assertLess(losses[-1], 0.3 * losses[0])
        self.assertGreater(self.events("a", "validation")[-1]["accuracy"], 0.7)


class Folders(Train):
    def test_a_run_is_a_folder_and_its_recipe_runs_again(self):
        done = self.train("--run", "a")
        self.assertEqual(len(done.stdout.splitlines()), 1, done.stdout)
        self.assertTrue(done.stdout.startswith("a: done after step 4"), done.stdout)
        self.assertEqual(sorted(set(os.listdir(self.path("a"))) - {"lock"}),
                         ["checkpoints", "log.txt", "metrics.jsonl", "recipe.yaml"])
        self.assertEqual([event["step"] for event in self.events("a", "step")], [1, 2, 3, 4])
        again = self.convoy("train", "a/recipe.yaml", "--run", "b")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assert_same("a", "b", 4)

    def test_default_folders_are_numbered(self):
        self.train()
        self.train()
        self.assertEqual(sorted(os.listdir(self.path("runs"))), ["recipe", "recipe-2"])
        self.train("--resume", "train.epochs=3")
        self.assertEqual(self.checkpoints("runs/recipe"), [2, 4])
        self.assertEqual(self.checkpoints("runs/recipe-2"), [2, 4, 6])

    def test_quiet_says_the_result_alone(self):
        done = self.train("--run", "a", "--quiet")
        self.assertEqual(done.stderr, "")

    def test_result_as_json(self):
        done = self.train("--run", "a", "--json", "data.validation=data/train")
        result = json.loads(done.stdout)
        self.assertEqual((result["run"], result["step"], result["epoch"]), ("a", 4, 2))
        self.assertGreater(result["validation"]["accuracy"], 0)

    def test_model_is_relative_to_the_recipe_and_data_to_the_user(self):
        os.makedirs(self.path("configs"))
        for name in ("recipe.yaml", "model.yaml"):
            os.rename(self.path(name), self.path("configs", name))
        self.works("train", "configs/recipe.yaml", "--run", "a")

    def test_one_rank_speaks(self):
        done = self.train("--run", "a", launcher=["mpirun", "-n", "3"])
        self.assertEqual(len(done.stdout.splitlines()), 1, done.stdout)
        ranks = self.events("a", "ranks")[-1]["ranks"]
        self.assertEqual([rank["rank"] for rank in ranks], [0, 1, 2])
        self.assertEqual(sum(rank["records"] for rank in ranks), 2 * 60)

    def test_the_log_says_who_moves_the_exchange_on(self):
        for run, nodes, progress, who in (
                ("a", "3", "auto", "inline"), ("b", "1,2", "auto", "thread"),
                ("c", "1,2", "inline", "inline"), ("d", "3", "thread", "thread")):
            self.train("--run", run, f"exchange.progress={progress}", launcher=[
                "env", f"CONVOY_TEST_NODES={nodes}", "mpirun", "-n", "3"])
            self.assertEqual(self.events(run, "start")[0]["progress"], who)
            self.assertIn({"inline": "between kernels", "thread": "below backward"}[who],
                          self.read(f"{run}/log.txt").decode())
        self.assert_same("a", "b", self.checkpoints("a")[-1])
        # In steps of its own a rank exchanges no gradient.
        self.train("--run", "e", "train.local_steps=2", launcher=["mpirun", "-n", "3"])
        self.assertNotIn("exchange on", self.read("e/log.txt").decode())

    def test_the_slowest_rank_is_told_once_an_epoch(self):
        self.train("--run", "a", "data.validation=data/train", launcher=["mpirun", "-n", "3"])
        found = self.events("a", "stragglers")
        self.assertEqual([event["epoch"] for event in found], [1, 2])
        whole = self.events("a", "ranks")[-1]["ranks"]
        for event in found:
            self.assertIn(event["cause"], ("input", "compute", "waiting"))
            busy = [rank["input"] + rank["compute"] for rank in event["ranks"]]
            self.assertEqual(len(busy), 3)
            self.assertEqual(event["slowest"], busy.index(max(busy)))
        for rank in range(3):  # validation's seconds are in the whole, and in no epoch
            for part in ("input", "compute", "waiting"):
                sums = sum(event["ranks"][rank][part] for event in found)
                self.assertGreaterEqual(sums, 0)
                self.assertLessEqual(sums, whole[rank]["seconds_" + part] + 1e-9)
        log = self.read("a/log.txt").decode()
        self.assertEqual(len(re.findall(r"slowest is rank \d|most of the time: ", log)), 2, log)

    def test_a_rank_that_computes_slowly_is_named(self):
        """By kernels without vectors, which take many times as long; with batch norm over the whole
        batch the other rank waits for it in the middle of forward and backward."""
        if "kernels portable" in self.works("doctor").stdout:
            self.skipTest("no other kernels here")
        self.write("model.yaml", """\
input: {channels: 3, height: 12, width: 12}
batchnorm: {sync: true}
layers:
  - conv: {out: 64, kernel: 3, pad: 1}
  - batchnorm:
  - relu:
  - conv: {out: 64, kernel: 3, pad: 1}
  - batchnorm:
  - relu:
  - linear: {out: 6}
""")
        command = [bench.PROGRAM, "train", "recipe.yaml", "--oversubscribe", "train.threads=1"]
        for slow in (0, 1):
            run = f"slow-{slow}"
            ranks = [["-n", "1", *(["env", "CONVOY_ISA=portable"] if rank == slow else []), *command,
                      "--run", run] for rank in (0, 1)]
            done = self.run_command(["mpirun", *ranks[0], ":", *ranks[1]])
            self.assertEqual(done.returncode, 0, done.stderr)
            for event in self.events(run, "stragglers"):
                self.assertEqual((event["slowest"], event["cause"], event["stands_out"]),
                                 (slow, "compute", True), event)
                other = event["ranks"][1 - slow]
                self.assertGreater(other["waiting"], other["compute"], event)


class Resume(Train):
    def test_more_epochs_equal_an_undisturbed_run(self):
        self.train("--run", "whole", "train.epochs=3")
        self.train("--run", "parts", "train.epochs=1")
        done = self.train("--run", "parts", "--resume", "train.epochs=3")
        self.assertIn("planned for 2 steps", done.stderr)
        self.assert_same("whole", "parts", 3 * STEPS)
        self.assertEqual([event["step"] for event in self.events("parts", "step")],
                         list(range(1, 7)))

    def test_from_the_middle_of_an_epoch_on_other_ranks(self):
        self.train("--run", "whole", "train.epochs=3", "checkpoint.every_steps=1")
        self.train("--run", "parts", "train.steps=3")
        self.train("--run", "parts", "--resume", "train.epochs=3", "checkpoint.every_steps=1",
                   launcher=["mpirun", "-n", "3"])
        for step in (4, 5, 6):
            self.assert_same("whole", "parts", step)

    def test_starts_afresh_where_there_is_nothing(self):
        self.train("--run", "a", "--resume")
        self.assertEqual(self.checkpoints("a"), [2, 4])

    def test_of_a_run_that_is_done_changes_nothing(self):
        self.train("--run", "a")
        before = bench.snapshot(self.path("a", "checkpoints"))
        self.train("--run", "a", "--resume")
        self.assertEqual(bench.snapshot(self.path("a", "checkpoints")), before)

    def test_accepts_what_changes_no_bit_and_refuses_the_rest(self):
        self.train("--run", "a")
        self.train("--run", "a", "--resume", "train.epochs=3", "train.threads=2", "train.chunk=2",
                   "exchange.bucket=4KiB", "data.loader_threads=2", "checkpoint.keep=9")
        for change, key, mine, theirs in (
                ("train.seed=2", "train.seed", "2", "1"),
                ("data.shuffle=shard", "data.shuffle", "shard", "global"),
                ("train.schedule.constant.rate=0.5", "train.schedule", "0.5", "0.01"),
                ("model.layers.0.conv.out=9", "model.layers.0.conv.out", "9", "8")):
            self.refuses(2, [key, mine, theirs, "a/checkpoints"], "train", "recipe.yaml", "--run",
                         "a", "--resume", change)

    def test_plateau_remembers_what_it_saw(self):
        plateau = ["train.schedule={plateau: {rate: 0.01, patience: 1}}",
                   "data.validation=data/train", "train.epochs=8"]
        self.train("--run", "whole", *plateau)
        self.train("--run", "parts", *plateau, "train.steps=7")
        self.train("--run", "parts", "--resume", *plateau)
        self.assert_same("whole", "parts", 8 * STEPS)


class Signals(Train):
    LONG = ["train.epochs=400", "checkpoint.every_epochs=0", "data.validation=data/train",
            "train.validate_every_steps=1", "train.validate_every_epochs=0"]

    def stop(self, run, launcher=(), number=signal.SIGUSR1, child=None):
        """Starts a long run, sends the signal after step 3, returns the exit code."""
        job = subprocess.Popen([*launcher, bench.PROGRAM, "train", "recipe.yaml", "--run", run,
                                "--oversubscribe", *self.LONG], cwd=self.folder,
                               env=bench.environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        limit = time.monotonic() + 60
        path = self.path(run, "metrics.jsonl")
        while not os.path.exists(path) or len(self.lines(path)) < 6:
            self.assertIsNone(job.poll(), "it ended early")
            self.assertLess(time.monotonic(), limit, "no step within a minute")
            time.sleep(0.01)
        os.kill(child(job.pid) if child is not None else job.pid, number)
        output = job.communicate(timeout=60)[0]
        return job.returncode, output

    @staticmethod
    def lines(path):
        with open(path, encoding="utf-8") as file:
            return file.readlines()

    def resumed_equals_undisturbed(self, run):
        stopped = self.checkpoints(run)[-1]
        self.assertLess(stopped, 400 * STEPS)
        more = [one for one in self.LONG if "epochs=400" not in one]
        end = stopped + 3
        self.train("--run", run, "--resume", *more, f"train.steps={end}")
        self.train("--run", "whole", *more, f"train.steps={end}")
        self.assert_same("whole", run, end)
        self.assertEqual([event["step"] for event in self.events(run, "step")],
                         list(range(1, end + 1)))
        self.assertEqual([event["step"] for event in self.events(run, "validation")],
                         list(range(1, end + 1)))

    def test_usr1_checkpoints_and_asks_to_be_resumed(self):
        code, output = self.stop("a")
        self.assertEqual(code, 75, output)
        self.assertIn("--resume", output)
        self.resumed_equals_undisturbed("a")

    def test_usr1_on_one_rank_counts_for_all(self):
        def last_child(pid):
            text = subprocess.run(["pgrep", "-P", str(pid), "convoy"], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout
            return int(text.split()[-1])
        code, output = self.stop("a", ["mpirun", "-n", "2"], child=last_child)
        self.assertEqual(code, 75, output)
        self.resumed_equals_undisturbed("a")

    def test_term_does_the_same(self):
        code, output = self.stop("a", number=signal.SIGTERM)
        self.assertEqual(code, 75, output)
        self.resumed_equals_undisturbed("a")


class Validation(Train):
    STILL = ["train.schedule={constant: {rate: 1e-30}}", "data.validation=data/train"]

    def test_early_stop_after_patience(self):
        done = self.train("--run", "a", *self.STILL, "train.epochs=50", "train.stop.patience=3")
        self.assertIn("stopped early after step 8", done.stdout)
        self.assertEqual([event["best"] for event in self.events("a", "validation")],
                         [True, False, False, False])
        self.train("--run", "a", "--resume", *self.STILL, "train.epochs=50",
                   "train.stop.patience=3")
        self.assertEqual(self.checkpoints("a")[-1], 8)

    def test_the_best_checkpoint_is_kept(self):
        self.train("--run", "a", *self.STILL, "train.epochs=6", "checkpoint.keep=2")
        self.assertEqual(self.checkpoints("a"), [2, 10, 12])
        self.assertTrue(filecmp.cmp(self.checkpoint("a", 2),
                                    self.path("a/checkpoints/best.safetensors"), False))

    def test_validation_does_not_touch_the_weights(self):
        self.train("--run", "a", "train.validate_every_epochs=0")
        self.train("--run", "b", "data.validation=data/train", "train.validate_every_epochs=2",
                   "checkpoint.every_epochs=1")
        self.assert_same("a", "b", 2)

    def test_validation_and_evaluate_use_the_averaged_weights(self):
        self.train("--run", "plain", "train.epochs=4")
        self.train("--run", "averaged", "train.epochs=4", "train.ema=0.8",
                   "data.validation=data/train")
        plain, averaged = (safetensors.Checkpoint(self.checkpoint(run, 8))
                           for run in ("plain", "averaged"))
        weights = [name for name in plain.tensors if not name.startswith("optimizer.")]
        self.assertEqual([f"ema.{name}" for name in weights],
                         [name for name in averaged.tensors if name.startswith("ema.")])
        for name in plain.tensors:  # the average changes nothing of what is trained
            self.assertEqual(plain.numbers(name), averaged.numbers(name))
        for name in weights:
            self.assertNotEqual(averaged.numbers(name), averaged.numbers(f"ema.{name}"), name)
        loss = {run: json.loads(self.works("evaluate", run, "data/train", "--json").stdout)["loss"]
                for run in ("plain", "averaged")}
        self.assertNotAlmostEqual(loss["plain"], loss["averaged"], places=4)
        self.assertAlmostEqual(self.events("averaged", "validation")[-1]["loss"], loss["averaged"],
                               places=7)

    def test_a_validation_that_is_not_finite_ends_the_run_and_says_so(self):
        """Both steps have a loss; the second one's gradients are too large for any weight."""
        self.replace("recipe.yaml", "[0.25, 0.25, 0.25]", "[1e-6, 1e-6, 1e-6]")
        far = ("train.epochs=1", "train.schedule={constant: 1e6}")
        for launcher in ((), ("mpirun", "-n", "2")):
            done = self.train("--run", f"out{len(launcher)}", "data.validation=data/train", *far,
                              code=1, launcher=launcher)
            self.assertIn("convoy: validation after step 2: the loss is not finite\n", done.stderr)
            lines = self.events(f"out{len(launcher)}", "validation")
            self.assertEqual([line["loss"] for line in lines], [None])
        self.train("--run", "unseen", *far)
        done = self.works("evaluate", "unseen", "data/train", "--json")
        self.assertIsNone(json.loads(done.stdout)["loss"])


class From(Train):
    def setUp(self):
        super().setUp()
        self.train("--run", "first")
        self.start = os.path.relpath(self.checkpoint("first", 4), self.folder)

    def test_weights_are_taken_by_name(self):
        still = "train.schedule={constant: {rate: 1e-30}}"
        self.train("--run", "second", f"train.from={self.start}", still)
        figures = [json.loads(self.works("evaluate", run, "data/train", "--json").stdout)["loss"]
                   for run in ("first", "second")]
        self.assertEqual(*figures)

    def test_a_layer_of_another_shape_is_named_and_may_start_fresh(self):
        self.replace("model.yaml", "linear: {out: 6}", "linear: {name: head, out: 7}")
        self.replace("model.yaml", "conv: {out: 8", "conv: {name: first, out: 8")
        self.works("train", "recipe.yaml", "--run", "named")
        self.replace("model.yaml", "out: 7", "out: 9")
        start = "train.from=named"
        self.refuses(1, ["head", "7", "9"], "train", "recipe.yaml", "--run", "out", start,
                     may_write=("out",))
        self.train("--run", "new", start, "train.from_new=[head]")
        self.refuses(2, ["haed"], "train", "recipe.yaml", "--run", "out2", start,
                     "train.from_new=[haed]", may_write=("out2",))


if __name__ == "__main__":
    bench.main()
