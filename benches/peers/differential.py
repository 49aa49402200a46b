#!/usr/bin/env python3
"""Compares the names that quahog and clamscan give to the same messages.

Runs `clamscan --allmatch` and `quahog scan --allmatch` on one database folder
and one folder of messages, and compares the set of names message by message.
With a manifest of `plant.py` it also says for each kind of plant how many were
found.

    differential.py PLANTED [--quahog BINARY] [--clamscan clamscan]
    differential.py --db DATABASES --mails MAILS [...]

PLANTED is what `plant.py` wrote: it has db/, msg/ and manifest.jsonl. A name
that clamscan gives and quahog does not is *lost*, unless every signature of
that name needs something that quahog does not read yet, or the name is of a
built-in heuristic: such names are listed apart. Exit 1 if a name is lost, 2 if
a scanner failed. Without clamscan or quahog it says so and skips, exit 0.
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plant  # noqa: E402

FOUND = re.compile(r"^(.*?): (\S.*) FOUND$")
HEURISTIC = ("Heuristics.", "BC.Heuristics.")


def scan(command, mails):
    """The names for each file, by path inside the folder; None after an error."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1):
        print("%s failed with %d: %s" % (command[0], done.returncode, done.stderr.decode("utf-8", "replace")[-500:]))
        return None
    names = collections.defaultdict(set)
    incomplete = set()
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        found = FOUND.match(line)
        if found:
            names[os.path.relpath(found[1], mails)].add(found[2])
        elif ": INCOMPLETE" in line:
            incomplete.add(os.path.relpath(line.split(": INCOMPLETE")[0], mails))
    return names, incomplete


def unread_kinds(folder):
    """For each name that only signatures of unread forms bear: the first form."""
    readable, unread = set(), {}
    for signature in plant.read_signatures(folder):
        if signature.unread:
            unread.setdefault(signature.name, signature.unread)
        else:
            readable.add(signature.name)
    return {name: kind for name, kind in unread.items() if name not in readable}


def plain(name):
    return name[:-len(".UNOFFICIAL")] if name.endswith(".UNOFFICIAL") else name


def read_manifest(path):
    plants = []
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            plants = [json.loads(line) for line in lines]
    return plants


def print_plants(plants, clamscan, quahog):
    """How many plants of each kind each side found, and where they differ."""
    rows = collections.OrderedDict()
    for record in sorted(plants, key=lambda r: (r["kind"], str(r["target"]), r["place"])):
        for key in ("%s, target %s" % (record["kind"], record["target"]), "in " + record["place"]):
            row = rows.setdefault(key, [0, 0, 0, 0])
            sides = [any(plain(name) in record["names"] for name in side.get(record["file"], ())) for side in (clamscan, quahog)]
            row[0] += 1
            row[1] += sides[0]
            row[2] += sides[1]
            row[3] += sides[0] == sides[1]
    if rows:
        print("\n%-28s %8s %9s %7s %6s" % ("plants", "planted", "clamscan", "quahog", "same"))
        for key in sorted(rows, key=lambda k: (k.startswith("in "), k)):
            print("%-28s %8d %9d %7d %6d" % (key, *rows[key]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("planted", nargs="?", help="folder that plant.py wrote")
    parser.add_argument("--db", help="folder of databases")
    parser.add_argument("--mails", help="folder of messages")
    parser.add_argument("--manifest", help="manifest.jsonl of plant.py")
    parser.add_argument("--quahog", default=os.environ.get("QUAHOG", "quahog"), help="the binary ($QUAHOG)")
    parser.add_argument("--clamscan", default=os.environ.get("CLAMSCAN", "clamscan"), help="the other binary ($CLAMSCAN)")
    parser.add_argument("--list", type=int, default=50, help="differences to list of each kind (50)")
    options = parser.parse_args()
    if options.planted:
        options.db = options.db or os.path.join(options.planted, "db")
        options.mails = options.mails or os.path.join(options.planted, "msg")
        options.manifest = options.manifest or os.path.join(options.planted, "manifest.jsonl")
    if not options.db or not options.mails:
        parser.error("PLANTED, or --db and --mails")
    for folder in (options.db, options.mails):
        if not os.path.isdir(folder):
            print("SKIP: no folder %s" % folder)
            return 0
    for binary in (options.clamscan, options.quahog):
        if not shutil.which(binary):
            print("SKIP: %s is not installed" % binary)
            return 0
    version = subprocess.run([options.clamscan, "--version"], stdout=subprocess.PIPE).stdout.decode().strip()
    arguments = ["--no-summary", "--allmatch", "-d", options.db, "-r", options.mails]
    clamscan, quahog = scan([options.clamscan] + arguments, options.mails), scan([options.quahog, "scan"] + arguments, options.mails)
    if clamscan is None or quahog is None:
        return 2
    (clamscan, _), (quahog, incomplete) = clamscan, quahog

    files = sorted(os.path.relpath(os.path.join(at, file), options.mails) for at, _, names in os.walk(options.mails) for file in names)
    unread = unread_kinds(options.db)
    lost, apart, extra, equal = [], collections.defaultdict(list), [], 0
    for file in files:
        theirs, ours = clamscan.get(file, set()), quahog.get(file, set())
        equal += theirs == ours
        for name in sorted(theirs - ours):
            kind = "built-in heuristic" if name.startswith(HEURISTIC) and not name.endswith(".UNOFFICIAL") else unread.get(plain(name))
            if kind:
                apart[kind].append((file, name))
            else:
                lost.append((file, name))
        extra += [(file, name) for name in sorted(ours - theirs)]
    plants = read_manifest(options.manifest)
    planted = collections.defaultdict(list)
    for record in plants:
        planted[record["file"]].append(record)

    def show(title, pairs):
        print("\n%s: %d" % (title, len(pairs)))
        for file, name in pairs[:options.list]:
            notes = ["%s in %s, %s, %s" % (r["kind"], r["place"], r["how"], r["origin"]) for r in planted[file] if plain(name) in r["names"]]
            print("  %s: %s%s" % (file, name, "  [%s]" % "; ".join(notes) if notes else ""))
        if len(pairs) > options.list:
            print("  ... and %d more" % (len(pairs) - options.list))

    print("clamscan: %s" % version)
    print("messages %d, with a name in clamscan %d, in quahog %d, equal %d" % (len(files), len(clamscan), len(quahog), equal))
    print("names in clamscan %d, in quahog %d, in both %d" % (
        sum(map(len, clamscan.values())), sum(map(len, quahog.values())), sum(len(clamscan[f] & quahog[f]) for f in list(clamscan) if f in quahog)))
    print("incomplete in quahog %d" % len(incomplete))
    print_plants(plants, clamscan, quahog)
    show("lost names", lost)
    show("extra names", extra)
    for kind in sorted(apart):
        show("not read yet (%s), not counted as lost" % kind, apart[kind])
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
