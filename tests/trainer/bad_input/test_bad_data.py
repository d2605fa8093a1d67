#!/usr/bin/env python3
"""Data sets and files to import that are damaged, foreign or hostile: one line with the file and the
reason, never a death by a signal, nothing written."""
import gzip
import os
import random
import re
import shutil
import struct
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402
import pictures  # noqa: E402

SEED = int(os.environ.get("CONVOY_TEST_SEED", "1"))
SHARD = "data/train/shard-00002.mdb"
PAGE = 4096


class BadDataSet(bench.Bench):
    def train_refuses(self, *texts, code=(1, 2)):
        return self.refuses(code, texts, "train", "recipe.yaml", "--run", "out",
                            may_write=("out",))

    def test_missing(self):
        self.replace("recipe.yaml", "data/train", "data/none")
        self.train_refuses("data/none")

    def test_empty_folder(self):
        shutil.rmtree(self.path("data/train"))
        os.makedirs(self.path("data/train"))
        self.train_refuses("data/train")

    def test_folder_of_something_else(self):
        self.replace("recipe.yaml", "data/train", "pictures")
        self.train_refuses("pictures")

    def test_description_of_something_else(self):
        self.write("data/train/dataset.yaml", "name: my cats\n")
        self.train_refuses("dataset.yaml")

    def test_description_that_is_no_yaml(self):
        self.write("data/train/dataset.yaml", "records: [")
        self.train_refuses("dataset.yaml")

    def test_no_records(self):
        text = self.read("data/train/dataset.yaml").decode()
        self.write("data/train/dataset.yaml", re.sub(r"records: \d+", "records: 0", text))
        self.train_refuses("data/train")

    def test_more_records_than_there_are(self):
        text = self.read("data/train/dataset.yaml").decode()
        self.write("data/train/dataset.yaml", re.sub(r"records: \d+", "records: 600000", text))
        self.refuses(1, ["data/train"], "inspect", "data/train", "--verify")

    def test_missing_shard(self):
        os.unlink(self.path(SHARD))
        self.train_refuses("shard-00002")

    def test_shard_that_is_no_lmdb(self):
        self.write(SHARD, b"not a database " * 3000)
        self.train_refuses("shard-00002")

    def test_empty_shard(self):
        self.write(SHARD, b"")
        self.train_refuses("shard-00002")

    def test_shard_cut_at_any_page(self):
        content = self.read(SHARD)
        self.assertGreater(len(content), 4 * PAGE)
        for size in range(0, len(content), PAGE):
            for cut in (size, size + PAGE // 2):
                if cut < len(content):
                    self.write(SHARD, content[:cut])
                    self.refuses(1, ["shard-00002"], "inspect", "data/train", "--verify")

    def test_shard_cut_while_training(self):
        content = self.read(SHARD)
        self.write(SHARD, content[:len(content) // PAGE // 2 * PAGE])
        self.train_refuses("shard-00002", code=1)

    def test_flipped_bit_in_a_picture(self):
        content = bytearray(self.read(SHARD))
        place = content.index(b"IDAT") + 60
        content[place] ^= 0x10
        self.write(SHARD, bytes(content))
        self.refuses(1, ["shard-00002"], "inspect", "data/train", "--verify")
        self.train_refuses("shard-00002", code=1)

    def test_flipped_bits_anywhere(self):
        """A flip either hits bytes that nobody reads, or is named; it never kills."""
        content = self.read(SHARD)
        dice = random.Random(SEED)
        noticed = 0
        for _ in range(120):
            damaged = bytearray(content)
            place = dice.randrange(len(content))
            damaged[place] ^= 1 << dice.randrange(8)
            self.write(SHARD, bytes(damaged))
            done = self.convoy("inspect", "data/train", "--verify")
            if done.returncode != 0:
                self.assertEqual(done.returncode, 1, f"byte {place}: {done.stderr}")
                self.assertIn("shard-00002", done.stderr, f"byte {place}")
                noticed += 1
        self.assertGreater(noticed, 10)

    def test_flipped_bits_in_page_headers(self):
        """Every 16-bit word of every page header, all ones: where LMDB itself would run wild."""
        content = self.read(SHARD)
        for page in range(len(content) // PAGE):
            for word in range(0, 24, 2):
                damaged = bytearray(content)
                damaged[page * PAGE + word:page * PAGE + word + 2] = b"\xff\xff"
                self.write(SHARD, bytes(damaged))
                done = self.convoy("inspect", "data/train", "--verify")
                self.assertIn(done.returncode, (0, 1), f"page {page} word {word}: {done.stderr}")
                if done.returncode:
                    self.assertIn("shard-00002", done.stderr)

    def test_record_of_another_shard(self):
        shutil.copy(self.path("data/train/shard-00001.mdb"), self.path(SHARD))
        self.refuses(1, ["data/train"], "inspect", "data/train", "--verify")

    def test_import_into_a_data_set_that_is_there(self):
        self.refuses(2, ["data/train", "--replace"], "import", "pictures", "pictures",
                     "data/train")


class BadIdx(bench.Bench):
    def setUp(self):
        super().setUp()
        for kind, count in (("train", 40), ("t10k", 20)):
            self.images(f"idx/{kind}-images-idx3-ubyte.gz", count)
            self.labels(f"idx/{kind}-labels-idx1-ubyte.gz", count)

    def pack(self, name, content):
        self.write(name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)

    def images(self, name, count, claimed=None, magic=0x803):
        dice = random.Random(SEED)
        self.pack(name, struct.pack(">IIII", magic, claimed or count, 6, 5) +
                  bytes(dice.randrange(256) for _ in range(count * 30)))

    def labels(self, name, count, claimed=None, magic=0x801, top=3):
        self.pack(name, struct.pack(">II", magic, claimed or count) +
                  bytes(i % top for i in range(count)))

    def import_refuses(self, *texts):
        return self.refuses(1, texts, "import", "idx", "idx", "data/new")

    def test_the_files_themselves_work(self):
        self.works("import", "idx", "idx", "data/new", "--shards", "4")
        self.works("inspect", "data/new/train", "--verify")

    def test_gzip_that_ends_early(self):
        name = "idx/train-images-idx3-ubyte.gz"
        content = self.read(name)
        for size in (0, 1, 12, len(content) // 2, len(content) - 4):
            self.write(name, content[:size])
            self.import_refuses("train-images-idx3-ubyte.gz")

    def test_gzip_with_a_flipped_bit(self):
        name = "idx/train-images-idx3-ubyte.gz"
        content = bytearray(self.read(name))
        content[len(content) // 2] ^= 4
        self.write(name, bytes(content))
        self.import_refuses("train-images-idx3-ubyte.gz")

    def test_counts_that_disagree(self):
        self.labels("idx/train-labels-idx1-ubyte.gz", 39)
        self.import_refuses("train-", "39", "40")

    def test_fewer_pictures_than_claimed(self):
        self.images("idx/t10k-images-idx3-ubyte.gz", 20, claimed=21)
        self.labels("idx/t10k-labels-idx1-ubyte.gz", 21)
        self.import_refuses("t10k-images-idx3-ubyte.gz")

    def test_more_pictures_than_claimed(self):
        self.images("idx/train-images-idx3-ubyte.gz", 40, claimed=39)
        self.labels("idx/train-labels-idx1-ubyte.gz", 39)
        self.import_refuses("train-images-idx3-ubyte.gz")

    def test_counts_beyond_all_memory(self):
        self.images("idx/train-images-idx3-ubyte.gz", 40, claimed=0xFFFFFFFF)
        self.labels("idx/train-labels-idx1-ubyte.gz", 40, claimed=0xFFFFFFFF)
        self.import_refuses("train-")

    def test_another_magic(self):
        self.images("idx/train-images-idx3-ubyte.gz", 40, magic=0x1234)
        self.import_refuses("train-images-idx3-ubyte.gz")

    def test_missing_file(self):
        os.unlink(self.path("idx/t10k-labels-idx1-ubyte.gz"))
        self.refuses((1, 2), ["t10k-labels"], "import", "idx", "idx", "data/new")

    def test_missing_folder(self):
        self.refuses((1, 2), ["nowhere"], "import", "idx", "nowhere", "data/new")


class BadCifar(bench.Bench):
    def setUp(self):
        super().setUp()
        for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
            self.write(f"cifar/{name}.bin", bytes(3073 * 2))
        self.write("cifar/batches.meta.txt", "".join(f"class {i}\n" for i in range(10)))

    def test_the_files_themselves_work(self):
        self.works("import", "cifar10", "cifar", "data/new", "--shards", "4")

    def test_batch_that_ends_inside_a_record(self):
        self.write("cifar/data_batch_3.bin", bytes(3073 + 100))
        self.refuses(1, ["data_batch_3.bin"], "import", "cifar10", "cifar", "data/new")

    def test_label_out_of_range(self):
        self.write("cifar/test_batch.bin", bytes(3073) + b"\x0a" + bytes(3072))
        self.refuses(1, ["test_batch.bin", "10"], "import", "cifar10", "cifar", "data/new")


def png_that_claims(width, height):
    return (b"\x89PNG\r\n\x1a\n" +
            pictures.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            pictures.chunk(b"IDAT", zlib.compress(bytes(1000))) + pictures.chunk(b"IEND", b""))


def jpeg_that_claims(width, height):
    return (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb\x00\x43\x00"
            + bytes([1] * 64) + b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", height, width) +
            b"\x01\x01\x11\x00\xff\xd9")


class BadPicture(bench.Bench):
    def import_refuses(self, content, name="pictures/class_1/00001.png"):
        self.write(name, content)
        return self.refuses(1, [name], "import", "pictures", "pictures", "data/new")

    def test_no_picture(self):
        self.import_refuses(b"this is a letter\n" * 20)

    def test_nothing_in_it(self):
        self.import_refuses(b"")

    def test_png_of_60000_by_60000(self):
        self.import_refuses(png_that_claims(60000, 60000))

    def test_jpeg_of_60000_by_60000(self):
        self.import_refuses(jpeg_that_claims(60000, 60000), "pictures/class_1/huge.jpg")

    def test_png_cut_anywhere(self):
        content = self.read("pictures/class_1/00001.png")
        for size in (7, 20, 33, 60, len(content) // 2, len(content) - 30):
            self.import_refuses(content[:size])

    def test_png_with_a_flipped_bit(self):
        content = bytearray(self.read("pictures/class_1/00001.png"))
        content[len(content) // 2] ^= 1
        self.import_refuses(bytes(content))

    def test_folder_without_classes(self):
        os.makedirs(self.path("nothing"))
        self.refuses((1, 2), ["nothing"], "import", "pictures", "nothing", "data/new")


if __name__ == "__main__":
    print(f"seed {SEED}", file=sys.stderr)
    bench.main()
