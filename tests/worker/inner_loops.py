#!/usr/bin/env python3
"""The inner loops of the microkernel hold all they need in registers: a sum that was spilled to the
stack costs a third of the speed, and no test of results would notice. The same of the loop by which
the ceiling is measured, which must also do every product that it counts.

    inner_loops.py LIBRARY    disassembles the tiles of all instruction sets in libworker.a

Plain C (portable.c) is not looked at; a set that REGISTERS does not know is a complaint.

It ends by looking at the same tiles with a sum that is spilled, and must complain of each.
"""
import re
import subprocess
import sys

MEMBER = re.compile(r"^(\S+):\s+file format")
FUNCTION = re.compile(r"^[0-9a-f]+ <(\w+)(?:\.[\w.]+)?>:")  # a clone has its original's name
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*)")
JUMP = re.compile(r"^j\w+\s+([0-9a-f]+)\b")
STACK = re.compile(r"\(%r[sb]p\b|,%r[sb]p\b")
TILE = re.compile(r"^(?:pixels|weights)_(\d+)x(\d+)(?:of2)?$")
CEILING = "ceiling_multiply_add"
# Of one vector of 16: registers, and so fused multiply-adds. Syntax, here and above, is that of x86.
REGISTERS = {"avx512": 1, "avx2": 2}
WIDE = {"avx512"}  # these have tiles of two vectors that are not two tiles of one
CEILING_CHAINS = {"avx512": 12, "avx2": 6}


def functions_of(lines):
    """(file, function, [(address, text)]) of every function."""
    member = name = None
    body = []
    for line in lines + ["end:     file format"]:
        starts = MEMBER.match(line), FUNCTION.match(line)
        if any(starts):
            if name and member:
                yield member, name, body
            name, body = None, []
        if starts[0]:
            member = starts[0].group(1).split(".")[0]
        elif starts[1]:
            name = starts[1].group(1)
        elif match := INSTRUCTION.match(line):
            body.append((int(match.group(1), 16), match.group(2)))


def innermost_loops(body):
    """The instructions of every loop in which there is no other."""
    spans = []
    for address, text in body:
        jump = JUMP.match(text)
        if jump and int(jump.group(1), 16) <= address:
            spans.append((int(jump.group(1), 16), address))
    for low, high in spans:
        if not any((a, b) != (low, high) and low <= a and b <= high for a, b in spans):
            yield [text for address, text in body if low <= address <= high]


def products_of(isa, name):
    """Fused multiply-adds of one round of a function's inner loop; 0: it is none of those."""
    tile = TILE.match(name)
    if name == CEILING:
        return CEILING_CHAINS[isa] * REGISTERS[isa]
    if not tile or (tile.group(2) == "2" and isa not in WIDE):
        return 0
    return int(tile.group(1)) * int(tile.group(2)) * REGISTERS[isa]


def check(lines):
    """Complaints, and how many loops were looked at."""
    complaints, seen = [], 0
    for isa, name, body in functions_of(lines):
        if isa == "portable":
            continue
        if isa not in REGISTERS:
            if name == CEILING:  # every set has one
                complaints.append(f"{isa}: how many registers has a vector?")
            continue
        products = products_of(isa, name)
        if products == 0:
            if TILE.match(name) and any("fmadd" in text for _, text in body):
                complaints.append(f"{isa} {name}: has its halves' loops in it, where nobody looks")
            continue
        loops = [loop for loop in innermost_loops(body)
                 if sum("fmadd" in text for text in loop) >= products]
        if not loops:
            complaints.append(f"{isa} {name}: no loop of {products} fused multiply-adds")
        for loop in loops:
            seen += 1
            complaints += [f"{isa} {name}: the inner loop touches the stack: {text}"
                           for text in loop if STACK.search(text)]
    return complaints, seen


def spilled(lines):
    """The listing with a sum stored on the stack after every fused multiply-add."""
    for line in lines:
        yield line
        match = INSTRUCTION.match(line)
        if match and "fmadd" in match.group(2):
            yield f" {match.group(1)}:\tvmovups %zmm0,0x40(%rsp)"


def main():
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", sys.argv[1]], check=True,
                          capture_output=True, text=True).stdout
    lines = text.splitlines()
    complaints, seen = check(lines)
    of_spilled, _ = check(list(spilled(lines)))
    if len(of_spilled) < seen:
        complaints.append("loops that spill a sum were not noticed")
    print("\n".join(complaints) or f"{seen} inner loops, none touches the stack")
    return 1 if complaints or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
