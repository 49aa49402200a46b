#!/usr/bin/env python3
"""Writes vectors.txt: what the processor of this machine makes of instructions.

    vectors.py [CASES] [SEED] > vectors.txt

Each line: the instruction; EAX, ECX, EDX, EBX and the flags before; the same
behind; which of the flags are defined. Runs on Linux on x86-64 only; what it runs
means the same there as on x86 of 32 bits.
"""
import ctypes
import mmap
import random
import struct
import sys

CASES = int(sys.argv[1]) if len(sys.argv) > 1 else 8
random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
CF, PF, AF, ZF, SF, OF = 1, 4, 0x10, 0x40, 0x80, 0x800
ALL = CF | PF | AF | ZF | SF | OF
NO_AF = ALL & ~AF

area = mmap.mmap(-1, 8192, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
base = ctypes.addressof(ctypes.c_char.from_buffer(area))
call = ctypes.CFUNCTYPE(None)(base)
STATE = 4096


def run(code, registers, flags):
    """The registers and flags behind an instruction."""
    area[STATE:STATE + 20] = struct.pack("<5I", *registers, flags)
    at = struct.pack("<Q", base + STATE)
    text = b"\x53\x55\x48\xbd" + at  # push rbx, rbp; mov rbp, STATE
    text += bytes.fromhex("8b5d0c8b5508 8b4d04ff7510".replace(" ", ""))  # ebx, edx, ecx; push
    text += bytes.fromhex("8b45009d") + code + b"\x9c"  # eax; popfq; the instruction; pushfq
    text += bytes.fromhex("8945008f4510894d0489550889 5d0c".replace(" ", ""))
    text += b"\x5d\x5b\xc3"
    area[0:len(text)] = text
    call()
    out = struct.unpack("<5I", area[STATE:STATE + 20])
    return out[:4], out[4]


def number():
    return random.choice([
        random.getrandbits(32), random.getrandbits(8), random.choice([0, 1, 0x7f, 0x80, 0xff, 0x7fff,
        0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff])])


def cases():
    modrm = [0xc8, 0xd1, 0xda]  # pairs of eax to ebx
    for kind in range(8):
        defined = NO_AF if kind in (1, 4, 6) else ALL
        for byte in modrm + [0xe2, 0xcc]:  # and of their upper bytes
            yield bytes([kind << 3, byte]), defined
        for byte in modrm:
            yield bytes([kind << 3 | 3, byte]), defined
            yield bytes([0x66, kind << 3 | 1, byte]), defined
        yield bytes([kind << 3 | 4, random.getrandbits(8)]), defined
        yield bytes([kind << 3 | 5]) + struct.pack("<I", number()), defined
        yield bytes([0x83, 0xc0 | kind << 3 | 2, random.getrandbits(8)]), defined
    for kind in (0, 1, 2, 3, 4, 5, 7):
        for by in (1, 3, 8, 17, 31):
            turns = kind < 4
            defined = CF if turns else CF | PF | ZF | SF
            for prefix, opcode, bits in ((b"", 0xc1, 32), (b"\x66", 0xc1, 16), (b"", 0xc0, 8)):
                if by >= bits and not turns or by == bits:
                    continue
                yield prefix + bytes([opcode, 0xc0 | kind << 3, by]), defined | (OF if by == 1 else 0)
        yield bytes([0xd3, 0xc2 | kind << 3]), 0
        yield bytes([0xd2, 0xc5 | kind << 3]), 0
    for byte in (0xc8, 0xd1, 0xda):
        yield bytes([0x0f, 0xa4, byte, 5]), CF | PF | ZF | SF
        yield bytes([0x0f, 0xac, byte, 27]), CF | PF | ZF | SF
        yield bytes([0x0f, 0xa5, byte]), 0
        yield bytes([0x0f, 0xad, byte]), 0
        yield bytes([0x0f, 0xaf, byte]), CF | OF
        yield bytes([0x66, 0x0f, 0xaf, byte]), CF | OF
        yield bytes([0x6b, byte, random.getrandbits(8)]), CF | OF
        yield bytes([0x0f, 0xb1, byte]), ALL
        yield bytes([0x0f, 0xc1, byte]), ALL
        yield bytes([0x0f, 0xc0, byte]), ALL
        yield bytes([0x84, byte]), NO_AF
        yield bytes([0x85, byte]), NO_AF
        yield bytes([0x87, byte]), ALL
        yield bytes([0x86, byte]), ALL
        for opcode in (0xb6, 0xb7, 0xbe, 0xbf):
            yield bytes([0x0f, opcode, byte]), ALL
        for opcode in (0xa3, 0xab, 0xb3, 0xbb):
            yield bytes([0x0f, opcode, byte]), CF
        for opcode in (0xbc, 0xbd):
            yield bytes([0x0f, opcode, byte]), ZF
    for kind in (4, 5, 6, 7):
        yield bytes([0x0f, 0xba, 0xc1 | kind << 3, 13]), CF
    for kind in (2, 3):
        yield bytes([0xf7, 0xc1 | kind << 3]), ALL
        yield bytes([0xf6, 0xc1 | kind << 3]), ALL
    for kind in (4, 5):
        for prefix, opcode in ((b"", 0xf7), (b"\x66", 0xf7), (b"", 0xf6)):
            yield prefix + bytes([opcode, 0xc1 | kind << 3]), CF | OF
    for condition in range(16):
        yield bytes([0x0f, 0x90 | condition, 0xc2]), ALL
        yield bytes([0x0f, 0x40 | condition, 0xd1]), ALL
    for code in ("fec1", "fecc", "ffc1", "66ffca", "98", "6698", "99", "6699", "9e", "9f", "0fc9",
                 "f5", "f8", "f9", "91", "6692", "b155", "66ba3412", "8d44910f", "8d1c48", "90"):
        yield bytes.fromhex(code), ALL


def main():
    print("# Written by vectors.py.")
    for code, defined in cases():
        for _ in range(CASES):
            registers = [number() for _ in range(4)]
            flags = 0x202 | random.getrandbits(12) & ALL
            # Where an address is made, there are no more bits than here.
            if code[0] == 0x8d:
                registers = [n & 0xffffff for n in registers]
            behind, after = run(code, registers, flags)
            words = ["%x" % word for word in (*registers, flags & ALL, *behind, after & ALL, defined)]
            print(code.hex(), *words)


main()
