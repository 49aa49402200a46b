#!/usr/bin/env python3
"""Pairs quahog with sigtool and clamscan on one container, A B A B in one run.

    container.py DATABASES [--pairs 3] [--quahog BINARY] [--keep FILE.cud] [--only show,load]

DATABASES is a folder of unpacked database files; those that a container may hold
are packed with `quahog build`. These pairs are measured, each with its wall time,
CPU time and highest memory:

    show    quahog info     sigtool --info      not the same work: of a .cud sigtool
                                                reads 512 bytes, quahog unpacks all
                                                of it and verifies every member
    unpack  quahog unpack   sigtool --unpack    to a new folder
    load    quahog check    clamscan -d         loads, compiles, reports
    scan    quahog scan -d  clamscan -d

The last two look at a file of one byte, if at any, so that the figures are of the
load. What is shown must agree (version, count, level), and so must what was
unpacked, and the numbers of signatures that are in force, within a thousandth: a
load that leaves out half is not a fast one.

Prints a line for each run, then the ratios peer / quahog as median
[least..most]. Exit 1 if they disagree. Without quahog, sigtool or clamscan it
says so and skips that, exit 0.
"""
import argparse
import filecmp
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# What stands in published containers. A .cud of ClamAV's own takes more, but not
# containers in containers.
PACKED = set(
    "cdb cfg crb fp ftm gdb hdb hdu hsb hsu idb ign ign2 imp ldb ldu mdb mdu msb msu"
    " ndb ndu pdb pwdb sfp wdb cbc".split()
)
FIGURES = ("wall", "cpu", "memory")


def run(command, codes=(0,), cwd=None):
    """Wall and CPU seconds, highest MB, output."""
    begin = time.time()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=cwd)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.time() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    if process.returncode not in codes:
        sys.exit("%s: exit %s\n%s" % (" ".join(command), process.returncode, text[-2000:]))
    figures = (wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return figures, text


def pack(quahog, databases, folder, out):
    """Builds a container of what may stand in one."""
    members = os.path.join(folder, "members")
    os.mkdir(members)
    for name in sorted(os.listdir(databases)):
        path = os.path.join(os.path.abspath(databases), name)
        if name.rsplit(".", 1)[-1].lower() in PACKED and os.path.isfile(path):
            try:
                os.link(path, os.path.join(members, name))
            except OSError:
                shutil.copyfile(path, os.path.join(members, name))
    with open(os.path.join(members, "COPYING"), "w") as file:
        file.write("Packed to measure with.\n")
    figures, text = run([quahog, "build", members, "--out", out])
    print("build  quahog    %7.2f s wall %7.2f s CPU %7.0f MB   %s" % (*figures, text.strip()))


def shown(text):
    """What both tools say of a header."""
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    said = {key.strip().lower(): value.strip() for key, value in lines}
    keys = ("version", "signatures", "functionality level", "md5")
    # The first word: quahog adds its own level to the level.
    return {key: said[key].split()[0] for key in keys if said.get(key)}


def in_force(text):
    """How many signatures a load came to."""
    found = re.search(r"Known viruses: (\d+)|(\d+) signatures in force", text)
    return int(found[1] or found[2]) if found else None


def unpack(quahog, container, folder):
    """Both unpack; whether they wrote the same."""
    outs = [os.path.join(folder, who) for who in ("ours", "theirs")]
    os.mkdir(outs[1])
    pair = [run([quahog, "unpack", container, "--out", outs[0]]),
            run(["sigtool", "--unpack=" + container], cwd=outs[1])]
    names = [sorted(os.listdir(out)) for out in outs]
    _, differ, errors = filecmp.cmpfiles(*outs, names[0], shallow=False)
    agree = names[0] == names[1] and not differ and not errors
    for out in outs:
        shutil.rmtree(out)
    return pair, agree


def told(ratios):
    return "%.2f [%.2f..%.2f]" % (statistics.median(ratios), min(ratios), max(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("databases")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--quahog", default="target/release/quahog")
    parser.add_argument("--keep", help="write the container here, or take it if it is there")
    parser.add_argument("--only", default="show,unpack,load,scan", help="some of these pairs")
    options = parser.parse_args()
    if not os.path.isdir(options.databases):
        sys.exit("%s is no folder of databases" % options.databases)
    if not shutil.which(options.quahog):
        print("skipped: there is no %s; cargo build --release -p quahog-cli" % options.quahog)
        return

    with tempfile.TemporaryDirectory() as folder:
        container = os.path.abspath(options.keep) if options.keep else os.path.join(folder, "full.cud")
        if not os.path.exists(container):
            pack(options.quahog, options.databases, folder, container)
        print("%s: %.1f MB" % (os.path.basename(container), os.path.getsize(container) / 1e6))
        tiny = os.path.join(folder, "tiny")
        with open(tiny, "wb") as file:
            file.write(b"x")
        q = os.path.abspath(shutil.which(options.quahog))
        pairs = [
            ("show", [q, "info", container], ["sigtool", "--info", container], shown),
            ("unpack", [q], ["sigtool"], unpack),
            ("load", [q, "check", container], ["clamscan", "-d", container, tiny], in_force),
            ("scan", [q, "scan", "-d", container, tiny], ["clamscan", "-d", container, tiny], None),
        ]
        failed = False
        for verb, ours, theirs, meaning in pairs:
            if verb not in options.only.split(","):
                continue
            if not shutil.which(theirs[0]):
                print("%s: skipped: there is no %s" % (verb, theirs[0]))
                continue
            ratios = {figure: [] for figure in FIGURES}
            for _ in range(options.pairs):
                if meaning is unpack:
                    pair, agree = unpack(q, container, folder)
                else:
                    # `check` says with 1 that lines were left out.
                    pair = [run(ours, (0, 1)), run(theirs)]
                for who, (figures, _) in zip(("quahog", theirs[0]), pair):
                    line = "%-6s %-9s %7.2f s wall %7.2f s CPU %7.0f MB"
                    print(line % (verb, who, *figures), flush=True)
                for at, figure in enumerate(FIGURES):
                    ratios[figure].append(pair[1][0][at] / max(pair[0][0][at], 1e-3))
                if meaning is None:
                    continue
                if meaning is unpack:
                    mine, other = "one", "another, file by file"
                elif meaning is in_force:
                    mine, other = (in_force(text) for _, text in pair)
                    print("       in force: %s and %s" % (mine, other))
                    agree = mine and other and abs(mine - other) <= other / 1000
                else:
                    mine, other = (shown(text) for _, text in pair)
                    common = mine.keys() & other.keys()
                    agree = len(common) > 2 and all(mine[key] == other[key] for key in common)
                if not agree:
                    print("DISAGREE: %s and %s" % (mine, other))
                    failed = True
            print("%s: peer / quahog: " % verb
                  + ", ".join("%s %s" % (figure, told(ratios[figure])) for figure in FIGURES))
        print("machine: %d processors, load %.1f" % (os.cpu_count(), os.getloadavg()[0]))
        sys.exit(failed)


if __name__ == "__main__":
    main()
