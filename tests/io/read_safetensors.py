"""A second reader of the format, written from its specification: prints what the file holds."""
import json
import struct
import sys

TYPES = {"F32": ("f", 4), "I64": ("q", 8), "U8": ("B", 1)}
with open(sys.argv[1], "rb") as file:
    data = file.read()
(size,) = struct.unpack_from("<Q", data)
header = json.loads(data[8:8 + size].decode())
body = data[8 + size:]
assert (8 + size) % 8 == 0 and data[8:9] == b"{"
for key, value in sorted(header.pop("__metadata__").items()):
    print(key, value if not key.startswith("checksum") else "-")
end = 0
for name, tensor in header.items():
    code, width = TYPES[tensor["dtype"]]
    start, stop = tensor["data_offsets"]
    assert start == end
    count = (stop - start) // width
    values = struct.unpack_from(f"<{count}{code}", body, start)
    print(name, tensor["dtype"], tensor["shape"], *values)
    end = stop
assert end == len(body)
