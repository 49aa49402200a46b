#!/usr/bin/env python3
"""Pairs quahog with clamd on the same databases and messages, A B A B in one run.

    speed.py DATABASES MAILS [--pairs 5] [--limit 200] [--quahog BINARY]

clamd answers over its Unix socket (INSTREAM, one client, no cache, temporary
files in memory where /dev/shm is); its CPU time is read before and after, so
that loading is in no figure. quahog runs `scan --threads 1` from an image of the
databases on all messages and on none (one tiny file), and the difference counts,
ten times over. clamd ends at the first name of a message, quahog looks for all
of them, and clamd's must be among these: a wrong scan is not a fast one. Also
told: wall time and memory of the load of each from text (clamd on one core,
quahog on all), and the CPU time for one object of 120 bytes (clamd: many of
them; quahog: the same many files less none).

Prints one line for each pair, then the ratios clamd / quahog as median
[least..most], and what machine it was. Exit 1 if a name was lost. Without clamd
or quahog it says so and skips, exit 0.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clamd import Clamd, cpu_of  # noqa: E402

FOUND = re.compile(rb"^(.*?): (\S.*) FOUND$")
# quahog scans the messages this often, so that the figure is large beside that
# of the start, which is taken off.
TIMES = 10
TINY = b"A short answer: thank you, the invoice has been received and will be paid by the end of next week. Kind regards, Anna\n\n"


def names_of(clamd, message):
    lines = clamd.scan(message).replace(b"\0", b"\n").splitlines()
    return {found[2].decode() for line in lines if (found := FOUND.match(line))}


def ask(clamd, messages):
    """CPU seconds for these messages, and their names."""
    begin = cpu_of(clamd.process.pid)
    names = [names_of(clamd, message) for message in messages]
    return cpu_of(clamd.process.pid) - begin, names


def quahog(binary, what, folder, times=1):
    """CPU and wall seconds, highest MB, names by file name."""
    command = [binary, "scan"] + what + ["--no-summary", "--allmatch", "--assume", "mail", "-r"]
    command += [folder] * times
    begin = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit("quahog failed")
    names = {}
    for line in out.splitlines():
        if found := FOUND.match(line):
            names.setdefault(os.path.basename(found[1]).decode(), set()).add(found[2].decode())
    return usage.ru_utime + usage.ru_stime, time.time() - begin, usage.ru_maxrss / 1024, names


def told(ratios):
    return "%.1f [%.1f..%.1f]" % (statistics.median(ratios), min(ratios), max(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("databases")
    parser.add_argument("mails")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--quahog", default="target/release/quahog")
    options = parser.parse_args()
    if not shutil.which("clamd") or not os.path.exists(options.quahog):
        print("skipped: clamd or %s is not here" % options.quahog)
        return 0
    paths = sorted(entry.path for entry in os.scandir(options.mails) if entry.is_file())
    paths = paths[:: max(1, len(paths) // options.limit)][: options.limit]
    messages = [open(path, "rb").read() for path in paths]
    size = sum(map(len, messages)) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("mails", "none", "tiny"):
            os.mkdir(os.path.join(folder, kind))
        for path, message in zip(paths, messages):
            with open(os.path.join(folder, "mails", os.path.basename(path)), "wb") as file:
                file.write(message)
        with open(os.path.join(folder, "none", "tiny"), "wb") as file:
            file.write(TINY)
        n_tiny = 20_000
        for number in range(n_tiny):
            with open(os.path.join(folder, "tiny", str(number)), "wb") as file:
                file.write(TINY)
        image = os.path.join(folder, "all.qhi")
        subprocess.run([options.quahog, "compile", "-d", options.databases, "--out", image],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        from_text, from_image = ["-d", options.databases], ["--threads", "1", "--image", image]
        own = os.path.join(folder, "clamd")
        os.mkdir(own)
        os.chmod(folder, 0o755)
        os.chmod(own, 0o777)
        clamd = Clamd(os.path.abspath(options.databases), own, {"MaxThreads": 1})
        print("%d messages, %.1f MB; clamd loaded in %.1f s, %.0f MB" %
              (len(messages), size, clamd.load, clamd.memory), flush=True)
        scan, load, memory, tiny, lost, more = [], [], [], [], 0, 0
        for pair in range(options.pairs):
            theirs, their_names = ask(clamd, messages)
            _, load_wall, peak, _ = quahog(options.quahog, from_text, folder + "/none")
            empty, _, _, _ = quahog(options.quahog, from_image, folder + "/none")
            full, _, _, our_names = quahog(options.quahog, from_image, folder + "/mails", TIMES)
            ours = max(full - empty, 1e-3) / TIMES
            scan.append(theirs / ours)
            load.append(clamd.load / load_wall)
            memory.append(clamd.memory / peak)
            for path, names in zip(paths, their_names):
                known = our_names.get(os.path.basename(path), set())
                lost += bool(names - known)
                more += bool(known - names)
            line = "pair %d: clamd %.2f s, quahog %.3f s; %.1f and %.0f messages/s" % (
                pair + 1, theirs, ours, len(messages) / max(theirs, 1e-9), len(messages) / ours)
            if pair == 0:
                # 100 objects show the price that clamd has for each.
                small, _ = ask(clamd, [TINY] * 100)
                many, _, _, _ = quahog(options.quahog, from_image, folder + "/tiny")
                each = max(many - empty, 1e-3) / n_tiny
                tiny.append(small / 100 / each)
                line += "; 120 bytes: %.2f ms and %.4f ms" % (small * 10, each * 1000)
            print(line, flush=True)
        clamd.end()
    print("clamd / quahog: scan %s, load (wall, all cores) %s, memory at rest over highest %s, 120 bytes %s" %
          (told(scan), told(load), told(memory), told(tiny)))
    print("messages with a name lost: %d, with one more: %d (over all pairs)" % (lost, more))
    model = [line for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print("machine: %d x %s; load %s" %
          (len(model), model[0].split(":")[1].strip() if model else "?", os.getloadavg()))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
