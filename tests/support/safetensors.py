"""Reads and writes safetensors files by their specification, with nothing of Convoy."""
import json
import struct
import sys


class Checkpoint:
    """`tensors` maps a name to (type, shape, bytes); `metadata` maps a key to a text."""

    def __init__(self, path):
        with open(path, "rb") as file:
            content = file.read()
        (size,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8:8 + size])
        body = content[8 + size:]
        self.metadata = header.pop("__metadata__", {})
        self.tensors = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            self.tensors[name] = (entry["dtype"], entry["shape"], body[start:end])

    def numbers(self, name):
        """The values of one float32 tensor, as a view: large networks have millions."""
        kind, _, content = self.tensors[name]
        assert kind == "F32", f"{name} is {kind}"
        assert sys.byteorder == "little", "the file's numbers are little-endian"
        return memoryview(content).cast("f")


def write(path, tensors):
    """Writes float32 tensors: a mapping of names to (shape, bytes)."""
    header, offset = {}, 0
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, content in tensors.values():
            file.write(content)
