#!/usr/bin/env python3
"""Pairs the walk alone (no signatures) with clamscan and with mail-parser.

    walk.py MAILS [--pairs 5] [--limit 300] [--walking BINARY]

clamscan has a database of one hash that no file has, so that it looks at
everything and searches for nothing; its CPU time for one tiny file is taken
off. quahog and mail-parser run in the example `walking`, which reads all
messages first, each best of three. In each pair both run once.

Prints a line for each pair, then the ratios (how many times as long the other
takes) as least / median / most, and what machine it was. Without clamscan or
the example it says so and skips, exit 0.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile


def cpu(command):
    """CPU seconds of a command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit("%s failed" % command[0])
    return usage.ru_utime + usage.ru_stime


def told(ratios):
    return "%.2f / %.2f / %.2f" % (min(ratios), statistics.median(ratios), max(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mails")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--walking", default="target/release/examples/walking")
    options = parser.parse_args()
    if not shutil.which("clamscan") or not os.path.exists(options.walking):
        print("skipped: clamscan or %s is not here" % options.walking)
        return 0
    paths = sorted(entry.path for entry in os.scandir(options.mails) if entry.is_file())
    paths = paths[: options.limit]
    clamscan, parts, parser_alone = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("mails", "none"):
            os.mkdir(os.path.join(folder, kind))
        for path in paths:
            shutil.copy(path, os.path.join(folder, "mails"))
        with open(os.path.join(folder, "none", "tiny"), "wb") as file:
            file.write(b"Subject: x\n\nNothing to see here.\n")
        database = os.path.join(folder, "none.hdb")
        with open(database, "w") as file:
            file.write("0123456789abcdef0123456789abcdef:5:Nothing\n")
        command = ["clamscan", "--no-summary", "-d", database, "-r"]
        for pair in range(options.pairs):
            theirs = cpu(command + [folder + "/mails"]) - cpu(command + [folder + "/none"])
            out = subprocess.run(
                [options.walking, folder + "/mails"], stdout=subprocess.PIPE, check=True, text=True
            ).stdout
            lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
            seconds = {name: float(fields[0]) for name, fields in lines.items()}
            size = int(lines["walk"][1]) / 1e6
            clamscan.append(theirs / seconds["walk"])
            parts.append(seconds["mail-parser"] / seconds["parts"])
            parser_alone.append(seconds["mail-parser"] / seconds["walk"])
            print("pair %d: %d messages, %.1f MB: clamscan %.2f s, walk %.3f s (%.0f MB/s, %s "
                  "layers), parts alone %.3f s (%s), mail-parser %.3f s (%s)" %
                  (pair + 1, len(paths), size, theirs, seconds["walk"], size / seconds["walk"],
                   lines["walk"][2], seconds["parts"], lines["parts"][2],
                   seconds["mail-parser"], lines["mail-parser"][2]), flush=True)
    print("least / median / most: clamscan / walk %s, mail-parser / walk %s, "
          "mail-parser / parts alone %s" % (told(clamscan), told(parser_alone), told(parts)))
    model = [line for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print("machine: %d x %s; load %s" %
          (len(model), model[0].split(":")[1].strip() if model else "?", os.getloadavg()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
