#!/usr/bin/env python3
"""Compares the YARA verdicts of quahog and clamscan on real rules and files.

    yara.py --rules FILE... --inputs FILE_OR_FOLDER... [--plant] [--limit N]
            [--quahog BINARY] [--clamscan clamscan]

BINARY is the example `names` of the crate quahog
(`cargo build --release -p quahog --example names`).

clamscan 1.4.6 lets a rule in error spoil the rules behind it, so each rule is
first loaded alone; those that load are put together and given to both. Lines
told for each file of rules: rules, loaded by clamscan one by one, loaded by
quahog. Then every input is scanned by both, and names that only one of them
gives are listed. `--plant` adds an input for each rule, made of its own
strings behind the head of a program, so that most rules match something.

Exit 1 if the verdicts differ. Without clamscan it says so and skips, exit 0.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

RULE = re.compile(rb"^(?:(?:private|global)[ \t]+)*rule[ \t]+(\w+)", re.M)
TEXT = re.compile(rb'\$\w*\s*=\s*"((?:[^"\\\n]|\\.)*)"([^\n$]*)')
HEX = re.compile(rb"\$\w*\s*=\s*\{([0-9a-fA-F?\s\[\]()|-]*)\}")
COMMENT = re.compile(rb'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?\*/', re.S)
ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|.)')


def split(text):
    """The rules of a file, by name."""
    starts = [found.start() for found in RULE.finditer(text)] + [len(text)]
    names = [found.group(1).decode() for found in RULE.finditer(text)]
    return [(name, text[a:b]) for name, a, b in zip(names, starts, starts[1:])]


def known(clamscan, folder, name, text):
    """Whether clamscan loads a rule."""
    path = os.path.join(folder, name + ".yar")
    with open(path, "wb") as out:
        out.write(text)
    done = subprocess.run([clamscan, "-d", path, os.devnull], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.unlink(path)
    return b"Known viruses: 1" in done.stdout


def plant(rule):
    """A file that holds every string of a rule."""
    out = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + bytes(44) + b"\x40\0\0\0PE\0\0"
    for text, modifiers in TEXT.findall(rule):
        def unescape(found):
            escape = found.group(1)
            if escape[:1] == b"x" and len(escape) == 3:
                return bytes([int(escape[1:], 16)])
            return {b"n": b"\n", b"t": b"\t"}.get(escape, escape if escape in (b'"', b"\\") else b"")
        text = ESCAPE.sub(unescape, text)
        if b"ascii" in modifiers or b"wide" not in modifiers:
            out += b" " + text + b" "
        if b"wide" in modifiers:
            out += b"\0\0" + b"".join(bytes([byte, 0]) for byte in text) + b"\0\0"
    for text in HEX.findall(rule):
        text = re.sub(rb"\s", b"", text)
        text = re.sub(rb"\(([^|()]*)[^()]*\)", rb"\1", text)
        text = re.sub(rb"\[(\d*)[^\]]*\]", lambda found: b"00" * int(found.group(1) or 0), text)
        digits = text.replace(b"?", b"1")
        if len(digits) % 2 == 0 and re.fullmatch(rb"[0-9a-fA-F]*", digits):
            out += bytes.fromhex(digits.decode())
    return out + bytes(64)


def names_of(lines, inputs):
    found = {path: set() for path in inputs}
    for line in lines:
        path, _, rest = line.rpartition(": ")
        if path in found and rest.endswith(" FOUND"):
            found[path].add(rest[: -len(" FOUND")])
        elif path in found and rest not in ("OK", "Empty file"):
            found[path].update(name for name in rest.split(" ") if name.startswith("YARA."))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", nargs="+", required=True)
    parser.add_argument("--inputs", nargs="*", default=[])
    parser.add_argument("--plant", action="store_true")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--max-size", type=int, default=4 << 20)
    parser.add_argument("--quahog", default="target/release/examples/names")
    parser.add_argument("--clamscan", default="clamscan")
    arguments = parser.parse_args()
    if not shutil.which(arguments.clamscan) or not shutil.which(arguments.quahog):
        print("skipped: clamscan or quahog's example `names` is not here")
        return 0

    work = tempfile.mkdtemp(prefix="yara-")
    try:
        inputs = []
        for given in arguments.inputs:
            walked = os.walk(given) if os.path.isdir(given) else [(os.path.dirname(given), [], [os.path.basename(given)])]
            for folder, _, files in walked:
                for name in sorted(files):
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and not os.path.islink(path) and 6 < os.path.getsize(path) <= arguments.max_size:
                        inputs.append(path)
        inputs = inputs[: arguments.limit]
        good = os.path.join(work, "good.yar")
        seen = set()
        with open(good, "wb") as out:
            for path in arguments.rules:
                with open(path, "rb") as file:
                    rules = split(COMMENT.sub(lambda found: found.group(1) or b" ", file.read()))
                with concurrent.futures.ThreadPoolExecutor(3) as pool:
                    loads = list(pool.map(lambda rule: known(arguments.clamscan, work, *rule), rules))
                kept = [rule for rule, load in zip(rules, loads) if load and rule[0] not in seen]
                seen.update(name for name, _ in kept)
                for name, text in kept:
                    out.write(text.rstrip() + b"\n")
                    if arguments.plant:
                        planted = os.path.join(work, name + ".planted")
                        with open(planted, "wb") as file:
                            file.write(plant(text))
                        inputs.append(planted)
                print("%s: %d rules, %d load alone" % (os.path.basename(path), len(rules), len(kept)))
        listed = os.path.join(work, "list")
        with open(listed, "w") as out:
            out.write("\n".join(inputs))
        theirs = subprocess.run(
            [arguments.clamscan, "--stdout", "--no-summary", "--allmatch", "-d", good, "-f", listed],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ours = subprocess.run([arguments.quahog, "--strict", good, "--"] + inputs, stdout=subprocess.PIPE)
        lines = ours.stdout.decode("utf-8", "replace").splitlines()
        print(lines[0] if lines else "quahog failed")
        theirs = names_of(theirs.stdout.decode("utf-8", "replace").splitlines(), inputs)
        ours = names_of(lines, inputs)
        differing = 0
        for path in inputs:
            if theirs[path] != ours[path]:
                differing += 1
                print("%s: only clamscan %s, only quahog %s" % (
                    path, sorted(theirs[path] - ours[path]), sorted(ours[path] - theirs[path])))
        hits = sum(map(len, theirs.values()))
        print("%d inputs, %d names by clamscan, %d by quahog, %d inputs differ" % (
            len(inputs), hits, sum(map(len, ours.values())), differing))
        return 1 if differing else 0
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
