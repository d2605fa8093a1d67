#!/usr/bin/env python3
"""Checkpoints that are damaged, hostile or of another network: named, never used, never deleted; a
resumed run goes on from the one before."""
import glob
import json
import os
import random
import shutil
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

SEED = int(os.environ.get("CONVOY_TEST_SEED", "1"))


def file_of(header, body=b""):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + body


def tensor(start, end, shape, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "header past the end": struct.pack("<Q", 1000) + b"{}",
    "header of 200 MB": struct.pack("<Q", 200 << 20) + b"{" + b" " * 1000,
    "no JSON": file_of(b"\xff\xfe\xfd{{{"),
    "a list": file_of([1, 2, 3]),
    "a tensor that is a number": file_of({"a": 1}),
    "unknown type": file_of({"a": tensor(0, 4, [1], "F99")}, b"\0" * 4),
    "negative dimension": file_of({"a": tensor(0, 4, [-1])}, b"\0" * 4),
    "dimensions that overflow": file_of({"a": tensor(0, 4, [1 << 62, 1 << 62])}, b"\0" * 4),
    "offsets backwards": file_of({"a": tensor(4, 0, [1])}, b"\0" * 4),
    "offsets past the end": file_of({"a": tensor(0, 400, [100])}, b"\0" * 4),
    "overlap": file_of({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, b"\0" * 12),
    "hole": file_of({"a": tensor(0, 4, [1]), "b": tensor(8, 12, [1])}, b"\0" * 12),
    "bytes left over": file_of({"a": tensor(0, 4, [1])}, b"\0" * 9),
    "deep nesting": file_of(b"[" * 100000),
    "of another tool": file_of({"a": tensor(0, 4, [1])}, b"\0" * 4),
}


class BadCheckpoint(bench.Bench):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare(cls.template, "train", "recipe.yaml", "--run", "run")

    def setUp(self):
        super().setUp()
        found = sorted(glob.glob(self.path("run/checkpoints/step-*.safetensors")))
        self.assertEqual(len(found), 2)
        self.older, self.newer = (os.path.relpath(path, self.folder) for path in found)

    def refused_by_all(self, *texts):
        """Evaluate, predict and inspect are asked for this very file."""
        picture = "pictures/class_0/00000.png"
        self.refuses(1, [self.newer, *texts], "evaluate", self.newer, "data/train")
        self.refuses(1, [self.newer, *texts], "predict", self.newer, picture)
        self.refuses(1, [self.newer, *texts], "train", "recipe.yaml", "--run", "out",
                     f"train.from={self.newer}", may_write=("out",))

    def test_the_checkpoint_itself_works(self):
        self.works("evaluate", self.newer, "data/train")
        self.works("predict", self.newer, "pictures/class_0/00000.png")
        self.works("inspect", self.newer)

    def test_cut_short(self):
        content = self.read(self.newer)
        for size in (0, 5, 100, len(content) // 2, len(content) - 1):
            self.write(self.newer, content[:size])
            self.refused_by_all()

    def test_one_bit_flipped(self):
        content = self.read(self.newer)
        dice = random.Random(SEED)
        (header,) = struct.unpack_from("<Q", content)
        body = range(8 + header, len(content))
        for place in [dice.choice(body) for _ in range(3)] + [body[0], body[-1]]:
            damaged = bytearray(content)
            damaged[place] ^= 1 << dice.randrange(8)
            self.write(self.newer, bytes(damaged))
            self.refused_by_all()

    def test_one_bit_of_the_header_flipped(self):
        """A flip in the metadata may go by, in what readers need it may not; nothing ever dies."""
        content = self.read(self.newer)
        dice = random.Random(SEED)
        (header,) = struct.unpack_from("<Q", content)
        for _ in range(40):
            damaged = bytearray(content)
            damaged[dice.randrange(8 + header)] ^= 1 << dice.randrange(8)
            self.write(self.newer, bytes(damaged))
            done = self.convoy("evaluate", self.newer, "data/train")
            self.assertIn(done.returncode, (0, 1, 2), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()) > 0, done.returncode != 0)

    def test_hostile(self):
        for what, content in HOSTILE.items():
            with self.subTest(what):
                self.write(self.newer, content)
                self.refused_by_all()

    def test_resume_falls_back_to_the_one_before(self):
        content = self.read(self.newer)
        self.write(self.newer, content[:-1])
        done = self.convoy("train", "recipe.yaml", "--run", "run", "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(os.path.basename(self.newer), done.stderr)
        self.assertEqual(self.read(self.newer), content, "trained again to the same bytes")

    def test_of_another_network(self):
        self.replace("model.yaml", "out: 8", "out: 9")
        self.refuses((1, 2), ["run"], "train", "recipe.yaml", "--run", "run", "--resume",
                     may_write=("run/log.txt",))
        self.refuses((1, 2), [self.newer], "train", "recipe.yaml", "--run", "out",
                     f"train.from={self.newer}", may_write=("out",))

    def test_resume_with_another_recipe(self):
        self.replace("recipe.yaml", "batch: 32", "batch: 16")
        self.refuses(2, ["train.batch", "16", "32"], "train", "recipe.yaml", "--run", "run",
                     "--resume", may_write=("run/log.txt",))

    def test_resume_with_other_data(self):
        shutil.rmtree(self.path("pictures/class_5"))
        os.makedirs(self.path("pictures/class_5"))
        shutil.copy(self.path("pictures/class_0/00000.png"), self.path("pictures/class_5"))
        self.works("import", "pictures", "pictures", "data/train", "--shards", "4", "--replace")
        self.refuses(2, ["data"], "train", "recipe.yaml", "--run", "run", "--resume",
                     may_write=("run/log.txt",))

    def test_missing(self):
        self.refuses((1, 2), ["nowhere"], "evaluate", "nowhere", "data/train")

    def test_picture_that_is_none(self):
        self.write("letter.png", "this is a letter")
        self.refuses(1, ["letter.png"], "predict", self.newer, "letter.png")

    def test_data_set_with_other_classes(self):
        shutil.rmtree(self.path("pictures/class_5"))
        self.works("import", "pictures", "pictures", "data/five", "--shards", "4")
        self.refuses((1, 2), ["5", "6"], "evaluate", self.newer, "data/five")


if __name__ == "__main__":
    print(f"seed {SEED}", file=sys.stderr)
    bench.main()
