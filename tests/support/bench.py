"""A folder in which tests type commands as a user does, and look at what they say and leave.

Every test that derives from Bench gets a folder with pictures (PNG, six classes) imported into
data/train, a recipe.yaml and a model.yaml. CONVOY names the program (CTest sets it).
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import pictures

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.abspath(os.environ.get(
    "CONVOY", os.path.join(HERE, "..", "..", "build", "release", "convoy")))
TIMEOUT = 120

MODEL = """\
input: {channels: 3, height: 12, width: 12}
layers:
  - conv: {out: 8, kernel: 3, stride: 2}
  - relu:
  - linear: {out: 6}
"""
RECIPE = """\
model: model.yaml
data:
  train: data/train
  transforms:
    - normalize: {mean: [0.45, 0.45, 0.45], std: [0.25, 0.25, 0.25]}
    - center_crop: {size: 12}
train:
  epochs: 2
  batch: 32
  leaf: 8
  loss: cross_entropy
  optimizer: {sgd: {momentum: 0.9}}
  schedule: {constant: {rate: 0.01}}
checkpoint: {every_epochs: 1, keep: 0}
"""


def snapshot(folder):
    """All paths below a folder with the digest of what they hold."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(place, name), folder)] = "folder"
        for name in files:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def environment(**more):
    return dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1",
                OMP_WAIT_POLICY="passive",
                OMPI_MCA_hwloc_base_binding_policy="none",
                OMPI_MCA_btl_vader_single_copy_mechanism="none", **more)


class Bench(unittest.TestCase):
    maxDiff = None
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.template = tempfile.mkdtemp(prefix="convoy-bench-")
        pictures.draw(os.path.join(cls.template, "pictures"), 60, 6, 14, 12, 1)
        cls.write_file(cls.template, "recipe.yaml", RECIPE)
        cls.write_file(cls.template, "model.yaml", MODEL)
        cls.prepare(cls.template, "import", "pictures", "pictures", "data/train", "--shards", "4")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.template, ignore_errors=True)

    @staticmethod
    def write_file(folder, name, text):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)

    @staticmethod
    def prepare(folder, *arguments):
        """A command that must succeed, before the tests."""
        done = subprocess.run([PROGRAM, *arguments], cwd=folder, env=environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT,
                              check=False)
        if done.returncode:
            raise RuntimeError(f"convoy {' '.join(arguments)}: {done.returncode}: {done.stdout}")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="convoy-bench-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        # Readable by another user too: tests without rights need one.
        os.chmod(self.folder, 0o755)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        self.write_file(self.folder, name, text)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def replace(self, name, old, new):
        text = self.read(name).decode()
        self.assertIn(old, text)
        self.write(name, text.replace(old, new))

    def run_command(self, command, **settings):
        """Runs a whole command line; a death by a signal is always a failure."""
        done = subprocess.run(command, cwd=self.folder, env=environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
                              errors="replace", **settings)
        self.assertGreaterEqual(done.returncode, 0,
                                f"{command} died of a signal:\n{done.stdout}{done.stderr}")
        return done

    def convoy(self, *arguments, **settings):
        return self.run_command([PROGRAM, *arguments], **settings)

    def works(self, *arguments):
        done = self.convoy(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def refuses(self, code, texts, *arguments, launcher=(), may_write=(), program=PROGRAM,
                **settings):
        """The command fails with `code` and one line of Convoy's that holds all `texts`, and leaves
        the folder as it was but for paths that start with one of `may_write` (which may come and
        change, never go)."""
        before = snapshot(self.folder)
        done = self.run_command([*launcher, program, *arguments], **settings)
        output = f"{' '.join(arguments)}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
        codes = code if isinstance(code, tuple) else (code,)
        self.assertIn(done.returncode, codes, output)
        lines = [line for line in done.stderr.splitlines() if line.startswith("convoy: ")]
        if not launcher and not may_write:
            self.assertEqual(lines, done.stderr.splitlines()[-1:], output)
        matching = [line for line in lines if all(text in line for text in texts)]
        self.assertEqual(len(matching), 1, f"one line with {texts}:\n{output}")
        self.assertLess(len(matching[0]), 600, output)
        self.assertNotIn("ERROR: AddressSanitizer", output)
        self.assertNotIn("runtime error:", output)
        after = snapshot(self.folder)
        may = tuple(may_write) or "\0"
        lost = {path for path in before if after.get(path) != before[path]
                and not (path in after and path.startswith(may))}
        new = {path for path in after if path not in before and not path.startswith(may)}
        self.assertEqual((lost, new), (set(), set()), f"lost, new:\n{output}")
        return done


def main():
    print(f"program {PROGRAM}", file=sys.stderr)
    unittest.main()
