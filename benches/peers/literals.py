#!/usr/bin/env python3
"""Pairs the literal stage of quahog with Hyperscan on the same literals and data.

    literals.py DATABASE STREAM... [--target 1] [--pairs 5] [--example BINARY]

The example `literal_stage` writes the literals that quahog searches for in
layers of a target, and searches the streams for them. Hyperscan (libhs.so.5,
Debian: libhyperscan5) gets the same literals as literals, in block mode. Both
must say the same number of matches; then rounds alternate, and the CPU time of
the thread counts. Hyperscan runs without a callback, which flatters it.
What is absent is said, and skipped with exit 0.
"""
import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time

CASELESS, BLOCK = 1, 1
# Bytes that a round searches, at least: some systems count the time of a thread
# in hundredths of a second.
ROUND = 200_000_000


class Hyperscan:
    def __init__(self, literals):
        self.lib = ctypes.CDLL("libhs.so.5")
        n = len(literals)
        texts = (ctypes.c_char_p * n)(*[text for _, text in literals])
        flags = (ctypes.c_uint * n)(*[CASELESS if nocase else 0 for nocase, _ in literals])
        ids = (ctypes.c_uint * n)(*range(n))
        lens = (ctypes.c_size_t * n)(*[len(text) for _, text in literals])
        self.database, error = ctypes.c_void_p(), ctypes.c_void_p()
        started = time.process_time()
        code = self.lib.hs_compile_lit_multi(
            texts, flags, ids, lens, n, BLOCK, None, ctypes.byref(self.database), ctypes.byref(error)
        )
        self.build = time.process_time() - started
        if code:
            sys.exit("Hyperscan does not compile the literals: %d" % code)
        self.scratch = ctypes.c_void_p()
        self.lib.hs_alloc_scratch(self.database, ctypes.byref(self.scratch))

    def scan(self, data, callback=None, times=1):
        started = time.thread_time()
        for _ in range(times):
            code = self.lib.hs_scan(
                self.database, data, ctypes.c_uint(len(data)), 0, self.scratch, callback, None
            )
            if code:
                sys.exit("Hyperscan ended with %d" % code)
        return (time.thread_time() - started) / times

    def count(self, data):
        matches = 0

        @ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_ulonglong, ctypes.c_uint, ctypes.c_void_p
        )
        def seen(*_):
            nonlocal matches
            matches += 1
            return 0

        self.scan(data, seen)
        return matches


def rounds(options, count, export):
    command = [options.example, options.database, "--target", str(options.target), "--rounds", str(count)]
    run = subprocess.run(
        command + ["--export", export] + options.streams, capture_output=True, text=True, check=True
    )
    found = {}
    for line in run.stdout.splitlines():
        stream, *fields = line.split()
        found.setdefault(stream, []).append(dict(field.split("=") for field in fields))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database")
    parser.add_argument("streams", nargs="+")
    parser.add_argument("--target", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--example", default="target/release/examples/literal_stage")
    options = parser.parse_args()
    if not os.path.exists(options.example):
        print("skipped: no %s: cargo build --release -p quahog --example literal_stage" % options.example)
        return
    try:
        ctypes.CDLL("libhs.so.5")
    except OSError:
        print("skipped: Hyperscan is not installed (libhs.so.5; Debian: libhyperscan5)")
        return
    with tempfile.TemporaryDirectory() as folder:
        export = os.path.join(folder, "literals.txt")
        rounds(options, 1, export)
        literals = []
        with open(export) as file:
            for line in file:
                nocase, text = line.startswith("i "), line.strip().removeprefix("i ")
                literals.append((nocase, bytes.fromhex(text)))
        hyperscan = Hyperscan(literals)
        print("%d literals for target %d; Hyperscan compiled them in %.1f s" % (len(literals), options.target, hyperscan.build))
        data = {stream: open(stream, "rb").read() for stream in options.streams}
        ours = {stream: [] for stream in options.streams}
        theirs = {stream: [] for stream in options.streams}
        for _ in range(options.pairs):
            for stream, results in rounds(options, 1, export).items():
                ours[stream].append(results[0])
            for stream in options.streams:
                times = -(-ROUND // max(1, len(data[stream])))
                theirs[stream].append(hyperscan.scan(data[stream], times=times))
        for stream in options.streams:
            matches = {int(result["matches"]) for result in ours[stream]}
            expected = hyperscan.count(data[stream])
            if matches != {expected}:
                print("%s: quahog found %s, Hyperscan %d" % (stream, matches, expected))
                sys.exit(1)
            size = len(data[stream])
            pairs = list(zip([float(r["seconds"]) for r in ours[stream]], theirs[stream]))
            ratio = sorted(b / a for a, b in pairs)
            share = {key: 100 * int(ours[stream][0][key]) / size for key in ("probes", "entries")}
            print(
                "%-14s %9d matches  quahog %7.0f MB/s  Hyperscan %7.0f MB/s  ratio %.2f [%.2f..%.2f]  "
                "(of 100 bytes %.2f pass the filters, %.2f lead to a literal)"
                % (
                    os.path.basename(stream),
                    expected,
                    size / 1e6 / statistics.median(a for a, _ in pairs),
                    size / 1e6 / statistics.median(b for _, b in pairs),
                    statistics.median(ratio),
                    ratio[0],
                    ratio[-1],
                    share["probes"],
                    share["entries"],
                )
            )


if __name__ == "__main__":
    main()
