#!/usr/bin/env python3
"""A reload storm under load: quahog, and clamd on the same databases and mails.

    reload.py [--reloads 20] [--scans 2000] [--load 50] [--soak BINARY]

The example `soak` writes its databases and mails (`--write`) and runs; then clamd
gets the same ones, once with `ConcurrentDatabaseReload yes` and once with `no`.
Each time a tenth of the signatures changes, with the name of a token that is in
every mail, so that each answer can be held against the generations that were in
force while it was made. Two clients send mails by a clock, at a share of what was
measured first (open loop: a mail that waits counts from when it was due).

Prints one line for each:

    reloads scans wrong dropped p99_idle p99_reload ratio peak_ratio reload_ms

`wrong` is an answer of a generation that was not in force or of none, `dropped` one
that did not come within 30 s, or a reload that did not (after three of these the
course ends); p99 in ms of the scans beside a reload and of the others in the
same run; peak_ratio is the highest memory by that at rest. clamd's times are seen
through its socket by clients in Python, which share the machine with it, so only
ratios compare. Exit 1 if an answer of quahog was wrong or dropped. Without clamd or
the example it says so and skips, exit 0.
"""
import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clamd import Clamd, memory_of  # noqa: E402

TOKEN = b"soak-token-4711"
THREADS = 2
FOUND = re.compile(rb"Gen\.(\d+)")
PATIENCE = 30  # seconds for a reload, and for an answer
GIVE_UP = 3  # reloads that did not come, after which the course ends


def daily(number, count):
    """A tenth of the set, as the example writes it."""
    values = random.Random(number)
    lines = ["Gen.%d:0:*:%s" % (number, TOKEN.hex())]
    for n in range(count):
        a, b, c = (values.getrandbits(bits) for bits in (64, 64, 32))
        lines.append("Daily.%d:0:*:%016x{2-12}%016x??%08x" % (n, a, b, c))
    return "\n".join(lines) + "\n"


def generation(clamd, mail):
    """The generation that a mail was answered by; None without an answer."""
    try:
        answer = clamd.scan(mail)
    except OSError:
        return None
    found = FOUND.search(answer)
    return int(found[1]) if found else -1


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0


def course(clamd, databases, mails, options):
    """The storm; the columns of the table."""
    state = {"settled": 0, "offered": 0, "phase": 0, "ended": 0.0, "done": False}
    wrong, dropped = [0] * THREADS, [0] * THREADS
    beside, apart = [[] for _ in range(THREADS)], [[] for _ in range(THREADS)]
    count = [0] * THREADS

    def scan(thread, mail, due):
        first, phase = state["settled"], state["phase"]
        number = generation(clamd, mail)
        took = (time.monotonic() - due) * 1000
        # A mail that was due while a reload ran waited for it, however it went on.
        is_beside = phase % 2 == 1 or state["phase"] != phase or due < state["ended"]
        if number is None:
            dropped[thread] += 1
        elif not first <= number <= state["offered"]:
            wrong[thread] += 1
        count[thread] += 1
        (beside if is_beside else apart)[thread].append(took)

    def flat_out(thread):
        at, until = thread, time.monotonic() + 2
        while time.monotonic() < until:
            scan(thread, mails[at % len(mails)], time.monotonic())
            at += THREADS

    def clocked(thread, interval):
        at, due = thread, time.monotonic() + interval * thread / THREADS
        while not state["done"]:
            time.sleep(max(0, due - time.monotonic()))
            scan(thread, mails[at % len(mails)], due)
            due += interval
            at += THREADS

    def run(target, *arguments):
        threads = [threading.Thread(target=target, args=(n, *arguments)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        return threads

    for thread in run(flat_out):
        thread.join()
    capacity = sum(count) / 2
    for list_ in beside + apart:
        list_.clear()
    count[:] = [0] * THREADS
    threads = run(clocked, THREADS * 100 / capacity / options.load)
    peak, rest, reload_ms = [0.0], [], []

    def watch():
        while not state["done"]:
            peak[0] = max(peak[0], memory_of(clamd.process.pid))
            time.sleep(0.01)

    threads.append(threading.Thread(target=watch))
    threads[-1].start()
    lost = 0
    for number in range(1, options.reloads + 1):
        text = daily(number, options.signatures // 10)
        with open(databases + ".new", "w") as file:
            file.write(text)
        os.rename(databases + ".new", os.path.join(databases, "daily.ndb"))
        state["offered"] = number
        state["phase"] += 1
        begin = time.monotonic()
        clamd.ask(b"zRELOAD\0")
        while generation(clamd, TOKEN) != number and time.monotonic() < begin + PATIENCE:
            time.sleep(0.02)
        if time.monotonic() >= begin + PATIENCE:
            lost += 1
        took = time.monotonic() - begin
        state["settled"] = number
        state["ended"] = time.monotonic()
        state["phase"] += 1
        reload_ms.append(took * 1000)
        time.sleep(min(took, 2))
        rest.append(memory_of(clamd.process.pid))
        if lost >= GIVE_UP:
            break
    while lost < GIVE_UP and sum(count) < options.scans:
        time.sleep(0.01)
    state["done"] = True
    for thread in threads:
        thread.join()
    idle = percentile(sum(apart, []), 0.99)
    busy = percentile(sum(beside, []), 0.99)
    ratio = busy / idle if idle else float("nan")
    return (number - lost, sum(count), sum(wrong), sum(dropped) + lost, idle, busy, ratio,
            peak[0] / statistics.median(rest), statistics.mean(reload_ms))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--load", type=int, default=50)
    parser.add_argument("--signatures", type=int, default=5000)
    parser.add_argument("--soak", default="target/release/examples/soak")
    options = parser.parse_args()
    if not os.path.exists(options.soak):
        print("skipped: there is no %s; cargo build --release -p quahog --example soak" % options.soak)
        return
    print("%-22s" % "" + " ".join("%10s" % name for name in (
        "reloads", "scans", "wrong", "dropped", "p99_idle", "p99_reload", "ratio", "peak_ratio",
        "reload_ms")), flush=True)

    def row(name, columns):
        shown = ["%10d" % column for column in columns[:4]] + ["%10.2f" % c for c in columns[4:]]
        print("%-22s%s" % (name, " ".join(shown)), flush=True)

    command = [options.soak, "--signatures", str(options.signatures)]
    done = subprocess.run(
        command + ["--reloads", str(options.reloads), "--scans", str(options.scans),
                   "--load", str(options.load)],
        stdout=subprocess.PIPE, text=True)
    said = dict(re.findall(r"(\w+)=([\d.-]+)", done.stdout))
    if "reload_ms" not in said:
        sys.exit("soak failed: exit %d\n%s" % (done.returncode, done.stdout))
    row("quahog", [int(said[key]) for key in ("reloads", "scans", "wrong", "dropped")]
        + [float(said[key]) for key in ("p99_ms", "p99_reload_ms", "p99_ratio", "peak_ratio", "reload_ms")])
    if not shutil.which("clamd"):
        print("skipped: there is no clamd")
        sys.exit(done.returncode)
    for concurrent in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            subprocess.run(command + ["--write", folder], check=True)
            databases = os.path.join(folder, "databases")
            names = sorted(os.listdir(os.path.join(folder, "mails")))
            mails = []
            for name in names:
                with open(os.path.join(folder, "mails", name), "rb") as file:
                    mails.append(file.read())
            for at, _, files in os.walk(folder):
                os.chmod(at, 0o777)
                for name in files:
                    os.chmod(os.path.join(at, name), 0o644)
            clamd = Clamd(
                databases,
                folder,
                {"MaxThreads": THREADS + 1, "ConcurrentDatabaseReload": "yes" if concurrent else "no"},
                PATIENCE,
            )
            try:
                columns = course(clamd, databases, mails, options)
            finally:
                clamd.end()
            row("clamd, concurrent" if concurrent else "clamd, not concurrent", columns)
    print("machine: %d processors, load %.1f" % (os.cpu_count(), os.getloadavg()[0]))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
