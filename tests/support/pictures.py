#!/usr/bin/env python3
"""Draws small RGB pictures in class folders, the same bytes on every machine.

Usage: pictures.py FOLDER [--pictures N] [--classes N] [--size WxH] [--seed N]

Each class is a coloured stripe pattern of its own, with noise. PNG files are written uncompressed
(stored blocks), so that no version of a compression library can change a byte.
"""
import argparse
import os
import struct
import zlib

MASK = (1 << 64) - 1


class Random:
    """splitmix64 (Steele, Lea, Flood 2014)."""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, count):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % count


def chunk(kind, content):
    return (struct.pack(">I", len(content)) + kind + content +
            struct.pack(">I", zlib.crc32(kind + content)))


def png(width, height, rows):
    """An 8-bit RGB picture; `rows` are bytes of width * 3."""
    raw = b"".join(b"\0" + row for row in rows)
    stored = b"\x78\x01"
    for start in range(0, len(raw), 65535):
        part = raw[start:start + 65535]
        last = start + 65535 >= len(raw)
        stored += struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part
    stored += struct.pack(">I", zlib.adler32(raw))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", stored) + chunk(b"IEND", b""))


def rows_of(random, kind, width, height):
    period = 2 + kind % 4
    colour = [(40 + 53 * kind) % 200, (90 + 97 * kind) % 200, (150 + 31 * kind) % 200]
    shift = random.below(period)
    for row in range(height):
        line = bytearray()
        for column in range(width):
            along = row if kind % 2 else column
            bright = 55 if (along + shift) % period < period // 2 else 0
            line += bytes(min(255, channel + bright + random.below(40)) for channel in colour)
        yield bytes(line)


def draw(folder, pictures, classes, width, height, seed):
    random = Random(seed)
    for number in range(pictures):
        kind = number % classes
        place = os.path.join(folder, f"class_{kind}")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, f"{number:05d}.png"), "wb") as file:
            file.write(png(width, height, list(rows_of(random, kind, width, height))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--pictures", type=int, default=138)
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--size", default="14x12")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    draw(options.folder, options.pictures, options.classes, width, height, options.seed)


if __name__ == "__main__":
    main()
