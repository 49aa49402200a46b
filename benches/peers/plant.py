#!/usr/bin/env python3
"""Plants strings that match real signatures into mails.

Takes a folder of messages and a folder of database files, and writes a copy in
which every third message carries bytes made from a signature itself: gaps,
wildcards, alternates and classes are filled in, and logical signatures get
every subsignature that a satisfying assignment asks for. What was planted
where stands in `manifest.jsonl`. The same seed gives the same bytes.

    plant.py MAILS DATABASES OUT [--seed N] [--every 3] [--per-message 1]

OUT/msg/    the messages, all of them
OUT/db/     a copy of the databases, and planted.hdb, planted.hsb, planted.fp:
            digests of attachments, which cannot be planted the other way round
OUT/manifest.jsonl   one object for each plant

A plant is an attempt and not a promise: normalisation may take a pattern
apart. `differential.py` compares what two scanners say of it.

As a module it reads the databases: `read_signatures` and `Signature.unread`.
"""
import argparse
import base64
import binascii
import glob
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import struct
import sys
import zipfile

FLEVEL = 216  # the functionality level of clamscan 1.4.6


# ---------------------------------------------------------------- databases

# Files whose signatures quahog does not read yet, and what they are called in
# the reports.
UNREAD_FILES = {
    "mdb": "section hash", "msb": "section hash", "mdu": "section hash", "msu": "section hash",
    "imp": "import hash", "cdb": "container metadata", "zmd": "container metadata",
    "rmd": "container metadata", "pdb": "phishing list", "gdb": "phishing list",
    "idb": "icon", "crb": "certificate", "cat": "certificate", "cbc": "bytecode",
    "yar": "yara", "yara": "yara", "ioc": "ioc",
}
HASH_FILES = {"hdb", "hsb", "hdu", "hsu"}
EXECUTABLE = re.compile(r"^(EP[+-]|S[0-9]+\+|SE[0-9]|SL\+|VI)")


class Signature:
    """One line of a database, taken apart as far as planting needs it.

    `subs` has (offset, pattern, modifiers) for each subsignature, and `unread`
    says which construct of it quahog does not read, or is None.
    """

    def __init__(self, name, source, line, target, subs, expression="0", block=None, unread=None):
        self.name, self.source, self.line, self.target = name, source, line, target
        self.subs, self.expression, self.block = subs, expression, block or {}
        self.unread = unread

    def where(self):
        return "%s:%d" % (self.source, self.line)


def in_level(low, high):
    """Whether 216 lies in a range of levels; an empty maximum counts as 0."""
    low = int(low) if low.isdigit() else 0
    if low > FLEVEL:
        return False
    return high is None or (int(high) if high.isdigit() else 0) >= FLEVEL


def split_logical(line):
    """Splits at `;`, but not inside a regular expression."""
    fields, current, inside, escaped = [], "", False, False
    for c in line:
        if c == ";" and not inside:
            fields.append(current)
            current = ""
            continue
        if c == "/" and not escaped and len(fields) >= 3:
            inside = not inside
        escaped = c == "\\" and not escaped
        current += c
    return fields + [current]


def read_ndb(name, number, line):
    fields = line.split(":")
    if not 4 <= len(fields) <= 6:
        return None
    levels = fields[4:]
    if levels and not in_level(levels[0], levels[1] if len(levels) > 1 else None):
        return None
    target = {"*": "0", "": "0"}.get(fields[1], fields[1])
    if not target.isdigit() or int(target) > 14:
        return None
    unread = None
    if EXECUTABLE.match(fields[2]):
        unread = "offset into an executable"
    elif fields[2].startswith("$"):
        unread = "macro"
    return Signature(fields[0], name, number, int(target), [(fields[2], fields[3], "")], unread=unread)


def read_ldb(name, number, line):
    fields = split_logical(line)
    if len(fields) < 4:
        return None
    block = {}
    for attribute in fields[1].split(","):
        key, _, value = attribute.partition(":")
        block[key] = value
    if "Engine" in block:
        low, _, high = block["Engine"].partition("-")
        if not in_level(low, high):
            return None
    target = block.get("Target", "x") or "0"
    if not target.isdigit() or int(target) > 14:
        return None
    unread = None
    for key, kind in (("IconGroup1", "icon"), ("IconGroup2", "icon"), ("HandlerType", "handler type"),
                      ("EntryPoint", "condition on an executable"),
                      ("NumberOfSections", "condition on an executable")):
        if key in block:
            unread = kind
    subs = []
    for sub in fields[3:]:
        if "/" in sub:
            unread = unread or "pcre"
            subs.append(("*", "", ""))
            continue
        if sub.startswith("fuzzy_img#"):
            unread = unread or "fuzzy image"
        elif "#" in sub:
            unread = unread or "byte compare"
        elif sub.startswith("${"):
            unread = unread or "macro"
        pattern, _, modifiers = sub.partition("::")
        offset, colon, rest = pattern.partition(":")
        if not colon:
            offset, rest = "*", pattern
        if EXECUTABLE.match(offset):
            unread = unread or "offset into an executable"
        subs.append((offset, rest, modifiers))
    return Signature(fields[0], name, number, int(target), subs, fields[2], block, unread)


def read_signatures(folder):
    """Yields a Signature for each line of the folder that names one."""
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        extension = path.rsplit(".", 1)[-1].lower()
        source = os.path.basename(path)
        with open(path, encoding="latin-1", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\r\n")
                if not line or line.startswith("#"):
                    continue
                found = None
                if extension in ("ndb", "sdb"):
                    found = read_ndb(source, number, line)
                elif extension == "ldb":
                    found = read_ldb(source, number, line)
                elif extension == "db" and "=" in line:
                    name, _, pattern = line.partition("=")
                    found = Signature(name, source, number, 0, [("*", pattern, "")])
                elif extension in HASH_FILES:
                    found = Signature(line.split(":")[2] if line.count(":") >= 2 else line, source, number, None, [])
                elif extension in UNREAD_FILES:
                    fields = line.split(":")
                    name = fields[2] if extension in ("mdb", "msb", "mdu", "msu", "imp") and len(fields) > 2 else fields[0]
                    found = Signature(name, source, number, None, [], unread=UNREAD_FILES[extension])
                if found:
                    found.name = found.name.split(" (Clam)")[0]
                    yield found


def read_ignored(folder):
    """The names on the ignore lists."""
    names = set()
    for path in glob.glob(os.path.join(folder, "*")):
        if path.lower().endswith((".ign", ".ign2")):
            with open(path, encoding="latin-1") as lines:
                for line in lines:
                    fields = line.rstrip("\r\n").split(":")
                    names.add(fields[2] if len(fields) == 3 else fields[0])
    return names


# ---------------------------------------------------------------- patterns

class Unplantable(Exception):
    """No bytes are made of this signature here."""


LETTERS = b"abcdefghijklmnopqrstuvwxyz"


class Filler:
    """Bytes for places where a pattern leaves the choice."""

    def __init__(self, rng, text):
        self.rng, self.text = rng, text

    def byte(self, keep=lambda b: True):
        choice = LETTERS + b"0123456789" if self.text else bytes(range(256))
        allowed = [b for b in choice if keep(b)] or [b for b in range(256) if keep(b)]
        if not allowed:
            raise Unplantable("no byte fits")
        return self.rng.choice(allowed)

    def bytes(self, count):
        if self.text:
            return bytes(self.rng.choices(LETTERS, k=count))
        return self.rng.randbytes(count)

    def prose(self, count):
        """Filler around patterns: words, or binary data."""
        if not self.text:
            return self.rng.randbytes(count)
        words = bytearray()
        while len(words) < count:
            words += self.bytes(self.rng.randrange(2, 9)) + b" "
        return bytes(words[: max(0, count - 1)]) + b"."[: min(1, count)]

    def gap(self, low, high):
        """A length between both bounds, these among them; no bound is None."""
        if high is None:
            high = low + self.rng.choice([0, 1, 7, 40, 40, 300])
        length = self.rng.choice([low, high, self.rng.randint(low, max(low, high))])
        if length > 2_000_000:
            raise Unplantable("gap too long")
        return self.bytes(length)


def rewrite(pattern, modifiers, rng):
    """Applies `w`, `f` and `a`, which work on the text of a pattern."""
    wide = "w" in modifiers and not ("a" in modifiers and rng.random() < 0.5)
    if "f" in modifiers:
        pattern = re.sub(r"\[([0-9-]+)\]", r"{\1}", pattern)
    if wide:
        pattern = re.sub(r"\[([0-9-]+)\]", r"{\1}", pattern)
        pattern = "".join(piece if piece.startswith("{") else re.sub(r"[0-9A-Fa-f?]{2}", r"\g<0>00", piece)
                          for piece in re.split(r"(\{[^}]*\})", pattern))
    edge = b" \0" if wide else b" "
    return pattern, (edge if "f" in modifiers else b"")


def in_class(letter, b):
    """Whether a byte satisfies a class in the middle of a part."""
    if letter == "B":
        return b in b"\n\r \"'-./<=>@_"
    if letter == "L":
        return b == 0x0A
    return not (48 <= b <= 57 or 65 <= b <= 90 or 97 <= b <= 122)


class Maker:
    """Makes bytes that one pattern matches."""

    def __init__(self, text, filler):
        self.text, self.filler, self.at = text, filler, 0

    def make(self):
        """Returns (bytes before, bytes that match, bytes after)."""
        before, out, after = b"", bytearray(), b""
        begin = True  # at the beginning of a part
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == "*":
                self.at += 1
                out += self.filler.gap(0, None)
                begin = True
            elif c == "{":
                low, high = self.range("}")
                out += self.filler.gap(low, high)
                # A short fixed gap is only bytes without a value.
                begin = begin and not out
            elif c == "[":
                low, high = self.range("]")
                out += self.filler.bytes(self.filler.rng.randint(low, low if high is None else high))
            elif c in "(!":
                negated = c == "!"
                self.at += negated
                body = self.group()
                if body in ("B", "L", "W"):
                    last = self.at >= len(self.text) or self.text[self.at] in "*{"
                    keep = (lambda b: not in_class(body, b)) if negated else (lambda b: in_class(body, b))
                    wanted = (b"x" if negated else b"\n" if body == "L" else b" ")
                    if begin and not negated and not out:
                        before = wanted
                    elif begin and not negated:
                        # The byte before a later part belongs to the gap.
                        out += wanted
                    elif last:
                        if self.at >= len(self.text):
                            after = wanted
                        else:
                            out += wanted
                    else:
                        out.append(self.filler.byte(keep))
                else:
                    out += self.alternate(body, negated)
                begin = False
            else:
                out.append(self.pair(self.text[self.at:self.at + 2]))
                self.at += 2
                begin = False
        return before, bytes(out), after

    def pair(self, pair):
        if len(pair) != 2 or not re.fullmatch(r"[0-9A-Fa-f?]{2}", pair):
            raise Unplantable("not understood: %r" % pair)
        high, low = pair
        return self.filler.byte(lambda b: (high == "?" or b >> 4 == int(high, 16)) and
                                (low == "?" or b & 15 == int(low, 16)))

    def range(self, end):
        stop = self.text.index(end, self.at)
        body = self.text[self.at + 1:stop]
        self.at = stop + 1
        low, dash, high = body.partition("-")
        if not all(part == "" or part.isdigit() for part in (low, high)):
            raise Unplantable("not understood: %r" % body)
        first = int(low or 0)
        if not dash:
            # `{0}` and `{}` mean any distance.
            return (first, first) if first else (0, None)
        if end == "]":
            return first, int(high or first)
        return first, (int(high) if high and int(high) else None)

    def group(self):
        depth, start = 0, self.at
        while self.at < len(self.text):
            depth += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            self.at += 1
            if depth == 0:
                return self.text[start + 1:self.at - 1]
        raise Unplantable("unbalanced parenthesis")

    def alternate(self, body, negated):
        branches, depth, current = [], 0, ""
        for c in body:
            depth += {"(": 1, ")": -1}.get(c, 0)
            if c == "|" and depth == 0:
                branches.append(current)
                current = ""
            else:
                current += c
        branches.append(current)
        if negated:
            taken = {bytes.fromhex(branch) for branch in branches}
            length = len(next(iter(taken)))
            for _ in range(100):
                other = bytes(self.filler.byte() for _ in range(length))
                if other not in taken:
                    return other
            raise Unplantable("nothing else fits")
        return Maker(self.filler.rng.choice(branches), self.filler).make()[1]


def instance(sub, filler, normalised):
    """(before, match, after) for a subsignature; the case varies under `i`."""
    _, pattern, modifiers = sub
    pattern, edge = rewrite(pattern, modifiers, filler.rng)
    before, match, after = Maker(pattern, filler).make()
    if "i" in modifiers and not normalised:
        match = bytes(b ^ 0x20 if chr(b).isascii() and chr(b).isalpha() and filler.rng.random() < 0.5 else b for b in match)
    elif "i" in modifiers:
        match = match.lower()
    return (before or edge), match, (after or edge)


# ------------------------------------------------------------- expressions

def find_split(text):
    """Takes an expression apart as ClamAV does: see the table of groupings in
    the specification. Returns (operator, left, right, comparison) or None."""
    depth = 0
    for at, c in enumerate(text):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c in "&|" and depth == 0:
            return c, text[:at], text[at + 1:], ""
    if not text.startswith("("):
        return None
    depth, last, end = 0, None, None
    for at, c in enumerate(text):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c in "&|" and depth == 1:
            last = at
        if depth == 0:
            end = at
            break
    if end is None:
        raise Unplantable("unbalanced expression")
    if last is None:
        return find_split(text[1:end])
    return text[last], text[1:last], text[last + 1:end], text[end + 1:]


def need(text, rng):
    """How often each subsignature must be there to satisfy the expression."""
    text = text.replace(" ", "")
    split = find_split(text)
    if split is None:
        found = re.fullmatch(r"\(*([0-9]+)(?:([=<>])([0-9]+)(?:,[0-9]+)?)?\)*", text)
        if not found:
            raise Unplantable("expression")
        count = {None: 1, "=": int(found[3] or 0), ">": int(found[3] or 0) + 1, "<": 0}[found[2]]
        return {int(found[1]): count}
    operator, left, right, comparison = split
    ids = sorted({int(n) for n in re.findall(r"[0-9]+", re.sub(r"[=<>][0-9]+(,[0-9]+)?", "", left + "|" + right))})
    if not comparison:
        if operator == "|":
            return need(rng.choice([left, right]), rng)
        wanted = need(left, rng)
        for key, count in need(right, rng).items():
            if wanted.get(key, count) != count and 0 in (count, wanted[key]):
                raise Unplantable("contradiction")
            wanted[key] = max(count, wanted.get(key, 0))
        return wanted
    found = re.fullmatch(r"([=<>])([0-9]+)(?:,([0-9]+))?", comparison)
    if not found:
        raise Unplantable("comparison")
    if found[1] == "<" or found[2] == "0" and found[1] == "=":
        return {key: 0 for key in ids}
    total = int(found[2]) + (found[1] == ">")
    if operator == "&":
        wanted = {**need(left, rng), **need(right, rng)}
    else:
        wanted = {key: 1 for key in rng.sample(ids, min(len(ids), max(1, int(found[3] or 0))))}
    if found[1] == "=" and sum(wanted.values()) > total:
        raise Unplantable("count")
    while sum(wanted.values()) < total:
        wanted[rng.choice([key for key in wanted if wanted[key]])] += 1
    return wanted


# ------------------------------------------------------------------ layers

def small_pe(body):
    """A PE file of one section that holds `body`."""
    raw = body + bytes(-len(body) % 512)
    size = (len(raw) + 0xFFF) & ~0xFFF
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x14C, 1, 0x5F000000, 0, 0, 224, 0x102)
    optional = struct.pack("<HBBIIIIIIIIIHHHHHHIIIIHHIIIIII", 0x10B, 14, 0, len(raw), 0, 0, 0x1000, 0x1000, 0x1000,
                           0x400000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, size + 0x1000, 512, 0, 2, 0,
                           0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(128)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(body), 0x1000, len(raw), 512, 0, 0, 0, 0, 0x60000020)
    head = dos + coff + optional + section
    return head + bytes(512 - len(head)) + raw


def small_elf(body):
    """A 64-bit ELF file of one loaded segment that holds `body`."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    size = 120 + len(body)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + body


def small_ole2(body):
    """A compound file with one stream that holds `body`."""
    body = body + bytes(max(0, 4096 - len(body)))  # smaller ones live elsewhere
    sectors = body + bytes(-len(body) % 512)
    count = len(sectors) // 512
    tables = (count + 1 + 128) // 127  # sectors of the allocation table
    if tables > 109:
        raise Unplantable("too large for a small compound file")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, tables, tables, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0)
    head = head[:76] + b"".join(struct.pack("<I", n) for n in range(tables)) + b"\xff" * (4 * (109 - tables))
    chain = [0xFFFFFFFD] * tables + [0xFFFFFFFE] + [tables + 2 + n for n in range(count - 1)] + [0xFFFFFFFE]
    chain += [0xFFFFFFFF] * (tables * 128 - len(chain))

    def entry(name, kind, child, start, size):
        raw = name.encode("utf-16le") + b"\0\0"
        return (raw.ljust(64, b"\0") + struct.pack("<HBBIII", len(raw) if name else 0, kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
                + bytes(36) + struct.pack("<IQ", start, size))
    directory = (entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry("Contents", 2, 0xFFFFFFFF, tables + 1, len(body))
                 + entry("", 0, 0xFFFFFFFF, 0, 0) * 2)
    return head + b"".join(struct.pack("<I", n) for n in chain) + directory + sectors


def pdf(body):
    return b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n" + body


HEADS = {  # first bytes by target, where offsets need not be kept
    5: [b"GIF89a\x10\0\x10\0\0\0\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0"],
    9: [b"\xcf\xfa\xed\xfe\7\0\0\1"],
    11: [b"FWS\x09"],
    12: [b"\xca\xfe\xba\xbe\0\0\0\x34"],
}
WRAPPERS = {1: [small_pe, lambda body: b"MZ\x90\0\3\0\0\0" + body], 2: [small_ole2, lambda body: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + body],
            6: [small_elf, lambda body: b"\x7fELF" + body], 10: [pdf]}
MAGIC = {1: b"MZ", 2: b"\xd0\xcf\x11\xe0", 5: b"GIF", 6: b"\x7fELF", 9: b"\xcf\xfa", 10: b"%PDF", 11: b"FWS", 12: b"\xca\xfe\xba\xbe"}


def bounds(offset):
    """("*" | "start" | "end", number, shift) of an offset."""
    if offset == "*":
        return "*", 0, 0
    base, comma, shift = offset.partition(",")
    shift = int(shift or 0) if comma else 0
    if base.startswith("EOF-") and base[4:].isdigit():
        return "end", int(base[4:]), shift
    if base == "" or base.isdigit():
        return "start", int(base or 0), shift
    raise Unplantable("offset")


def disguise(data, rng, html):
    """Writes text so that normalisation has something to undo."""
    def change(match):
        c = match[0]
        if c == b" ":
            return rng.choice([b" ", b"  ", b"\t", b"\r\n", b" \n "])
        return c.upper() if rng.random() < 0.4 else c
    data = re.sub(rb"[a-z ]", change, data)
    if html and rng.random() < 0.5:
        data = re.sub(rb"(?<=[a-zA-Z])[a-z](?=[a-z])", lambda m: b"&#%d;" % m[0][0] if rng.random() < 0.05 else m[0], data)
    return data


def survives(data, html):
    """Whether normalisation would give text back as it is, about."""
    if not re.fullmatch(rb"[\x20-\x40\x5b-\x7e]*", data) or b"  " in data:
        return False
    return not html or not re.search(rb"<!|> |<[^>]*$|'|&", data)


def build(signature, rng):
    """The bytes of a layer that the signature matches, and a word on how."""
    target = signature.target
    wanted = need(signature.expression, rng)
    if sum(wanted.values()) > 80 or not any(wanted.values()):
        raise Unplantable("counts")
    normalised = target in (3, 7)
    text = normalised or target == 4 or target == 0 and rng.random() < 0.5
    filler = Filler(rng, text)
    low, high = 0, 2_000_000
    if "FileSize" in signature.block:
        low, high = (int(n) for n in signature.block["FileSize"].split("-"))
        if low > 1_200_000:
            raise Unplantable("too large")
    pieces, starts, ends = [], [], []
    for index, count in sorted(wanted.items()):
        if index >= len(signature.subs):
            raise Unplantable("index")
        for _ in range(count):
            before, match, after = instance(signature.subs[index], filler, normalised)
            kind, number, shift = bounds(signature.subs[index][0])
            if kind == "*":
                pieces.append(before + match + after)
            elif kind == "start":
                starts.append((number + rng.choice([0, shift]), before, match, after))
            else:
                place = number - rng.choice([0, shift])
                if place < len(match + after):
                    place = number
                ends.append((place, before, match, after))
    rng.shuffle(pieces)
    if normalised and not all(survives(piece, target == 3) for piece in pieces) and rng.random() < 0.9:
        raise Unplantable("normalisation would change it")
    between = (lambda: filler.prose(rng.choice([1, 5, 30, 200]))) if not text else (
        lambda: b" " + filler.prose(rng.choice([1, 5, 30, 200])) + b" ")
    how = "plain"
    body = b"".join(piece + between() for piece in pieces)
    if normalised and rng.random() < 0.5:
        body, how = disguise(body, rng, target == 3), "disguised"
    far = not (starts or ends) and high > 600_000 and rng.random() < 0.06
    lead = filler.prose(131_072 - rng.randrange(0, max(2, len(body)))) if far else b"" if starts or normalised and how == "plain" and rng.random() < 0.3 else between()
    if far:
        how += ", across a window"
    body = lead + body
    if starts:
        body = around_starts(starts, body, filler)
        if target in MAGIC and not body.startswith(MAGIC[target]):
            if starts[0][0] < len(MAGIC[target]):
                raise Unplantable("no magic")
            body = MAGIC[target] + body[len(MAGIC[target]):]
    elif target in WRAPPERS:
        body = rng.choice(WRAPPERS[target])(body)
    elif target in HEADS:
        body = rng.choice(HEADS[target]) + body
    elif target == 3:
        body = (rng.choice([b"<html><body>", b"<html>\n<head><title>t</title></head>\n<body><p>", b"<HTML><BODY>"])
                + body + rng.choice([b"</body></html>", b"</p>\r\n</body>\r\n</html>\r\n", b""]))
    room = low - len(body)
    if room > 0:
        body += filler.prose(room + rng.choice([0, 1, min(100, high - low)]))
    for place, before, match, after in ends:
        if place < len(match + after):
            raise Unplantable("ends do not fit")
        body += between() + before + (match + after).ljust(place, b"x")
    if len(body) > high:
        raise Unplantable("too large")
    return body, how


def around_starts(starts, rest, filler):
    """Puts matches at their absolute offsets, and the rest after them."""
    body = b""
    for number, before, match, after in sorted(starts):
        if number < len(body) + len(before):
            if body[number:number + len(match)] == match:
                continue
            raise Unplantable("starts collide")
        body += filler.prose(number - len(body) - len(before)) + before + match + after
    return body + rest


# ------------------------------------------------------------------- mails

def lines_of(data, width=76):
    return b"\r\n".join(data[at:at + width] for at in range(0, len(data), width))


def encoded_base64(data):
    return lines_of(base64.b64encode(data))


def encoded_quoted(data, text):
    """Quoted-printable, with soft line breaks; line breaks of text stay."""
    out, line = [], b""
    at = 0
    while at < len(data):
        if text and data[at:at + 2] == b"\r\n":
            out.append(line)
            line, at = b"", at + 2
            continue
        b = data[at]
        item = bytes([b]) if 33 <= b <= 126 and b != 61 or b == 32 and at + 1 < len(data) and data[at + 1] not in b"\r\n" else b"=%02X" % b
        if len(line) + len(item) > 75:
            out.append(line + b"=")
            line = b""
        line += item
        at += 1
    return b"\r\n".join(out + [line])


def part(content_type, encoding, body, name=None):
    disposition = b'Content-Disposition: attachment; filename="%s"\r\n' % name if name else b""
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n%s\r\n%s" % (content_type, encoding, disposition, body)


def zipped(members, rng):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            method = rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, method)
    return out.getvalue()


def ooxml(data, rng, folder):
    types = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"></Types>'
    return zipped([("[Content_Types].xml", types), (folder + "/document.xml", b"<?xml version=\"1.0\"?><w:document/>"),
                   (folder + "/embeddings/object1.bin", data)], rng)


def attachment(data, name, rng, quoted=False):
    kind = rng.choice([b"application/octet-stream", b"application/x-unknown"])
    if quoted:
        return part(kind + b'; name="%s"' % name, b"quoted-printable", encoded_quoted(data, False), name)
    return part(kind + b'; name="%s"' % name, b"base64", encoded_base64(data), name)


def text_part(data, kind, rng, encoding=None):
    """A text part; the encoding must carry the bytes."""
    plain = not re.search(rb"[^\t\r\n\x20-\xff]|^--", data, re.M)
    encodings = [b"quoted-printable", b"base64"] + ([b"8bit" if re.search(rb"[\x80-\xff]", data) else b"7bit"] * 2 if plain else [])
    encoding = encoding or rng.choice(encodings)
    body = {b"quoted-printable": lambda: encoded_quoted(data, True), b"base64": lambda: encoded_base64(data)}.get(encoding, lambda: data)()
    return part(b"text/%s; charset=%s" % (kind, rng.choice([b"utf-8", b"iso-8859-1", b"us-ascii"])), encoding, body)


def in_message(inner, rng):
    """A message around one part, for message/rfc822."""
    head = (b"From: Ann Forward <ann@example.org>\r\nTo: bob@example.com\r\nSubject: forwarded %d\r\n"
            b"Date: Mon, 5 Jan 2026 10:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\nMIME-Version: 1.0\r\n") % (rng.randrange(1000), rng.randrange(10**9))
    if rng.random() < 0.5:
        return head + inner
    bound = b"=_inner%08x" % rng.randrange(1 << 32)
    hello = part(b"text/plain", b"7bit", b"See below.\r\n")
    return (head + b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s\r\n--%s\r\n%s\r\n--%s--\r\n'
            % (bound, bound, hello, bound, inner, bound))


CONTENT = re.compile(rb"^content-[a-z-]+:.*\r?\n(?:[ \t].*\r?\n)*", re.I | re.M)


def with_parts(message, parts, rng):
    """Makes the message multipart/mixed: what it was, and the parts."""
    found = re.search(rb"\r?\n\r?\n", message)
    head, body = (message[:found.start()] + b"\r\n", message[found.end():]) if found else (message + b"\r\n", b"")
    own = b"".join(CONTENT.findall(head)) or b"Content-Type: text/plain\r\n"
    head = CONTENT.sub(b"", head)
    bound = b"=_outer%012x" % rng.randrange(1 << 48)
    everything = [own + b"\r\n" + body] + parts
    if rng.random() < 0.3:
        everything.append(everything.pop(0))
    return (head + b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n' % bound
            + b"".join(b"--%s\r\n%s\r\n" % (bound, p) for p in everything) + b"--%s--\r\n" % bound)


def in_raw(message, data, rng):
    """The bytes as they are, in the header or before the first part."""
    found = re.search(rb"\r?\n\r?\n", message)
    at = found.end() if found else len(message)
    if rng.random() < 0.5 and not re.search(rb"[\r\n]", data) and found:
        return message[:found.start()] + b"\r\nX-Note: " + data + message[found.start():], "header"
    return message[:at] + data + b"\r\n" + message[at:], "body"


PLACES = {  # by target
    3: ["html", "html", "html-attachment", "quoted", "zip", "gzip", "rfc822", "zip-in-zip"],
    4: ["raw"],
    7: ["text", "text", "attachment", "quoted", "zip", "gzip", "rfc822", "uuencoded"],
    0: ["text", "html", "attachment", "quoted", "zip", "gzip", "rfc822", "zip-in-zip", "uuencoded"],
}
OTHER_PLACES = ["attachment", "attachment", "quoted", "zip", "gzip", "rfc822", "zip-in-zip", "uuencoded"]
CONTAINERS = {"CL_TYPE_MAIL": ["attachment", "quoted", "rfc822"], "CL_TYPE_ZIP": ["zip", "zip-in-zip"], "CL_TYPE_GZ": ["gzip"],
              "CL_TYPE_OOXML_WORD": ["ooxml-word"], "CL_TYPE_OOXML_XL": ["ooxml-xl"]}


def place_of(signature, rng):
    if "Intermediates" in signature.block:
        raise Unplantable("intermediates")
    container = signature.block.get("Container")
    if container:
        if container not in CONTAINERS or signature.target == 7 and container == "CL_TYPE_MAIL":
            raise Unplantable("container")
        return rng.choice(CONTAINERS[container])
    return rng.choice(PLACES.get(signature.target, OTHER_PLACES))


def carry(message, data, place, signature, rng):
    """Puts the bytes of a layer into a message."""
    name = b"file%d.%s" % (rng.randrange(1000), rng.choice([b"bin", b"dat", b"doc"]))
    if place == "raw":
        return in_raw(message, data, rng)[0]
    if place == "text":
        return with_parts(message, [text_part(data, b"plain", rng)], rng)
    if place == "html":
        if not re.search(rb"<html>|<head>", data, re.I):
            data = b"<html><body>\r\n" + data + b"\r\n</body></html>\r\n"
        return with_parts(message, [text_part(data, b"html", rng)], rng)
    if place == "quoted":
        text = signature is not None and signature.target in (3, 7)
        planted = text_part(data, b"html" if signature.target == 3 else b"plain", rng, b"quoted-printable") if text else attachment(data, name, rng, True)
        return with_parts(message, [planted], rng)
    if place == "html-attachment":
        return with_parts(message, [part(b'text/html; name="page.html"', b"base64", encoded_base64(data), b"page.html")], rng)
    if place == "zip":
        members = [("readme.txt", b"There is something beside me.\n"), ("folder/" + name.decode(), data)]
        rng.shuffle(members)
        return with_parts(message, [attachment(zipped(members, rng), b"files.zip", rng)], rng)
    if place == "zip-in-zip":
        inner = zipped([("inner.bin", data)], rng)
        return with_parts(message, [attachment(zipped([("inner.zip", inner), ("note.txt", b"A zip in a zip.\n")], rng), b"outer.zip", rng)], rng)
    if place == "uuencoded":
        lines = b"".join(binascii.b2a_uu(data[at:at + 45]).rstrip(b"\n") + b"\r\n" for at in range(0, len(data), 45))
        body = b"The file is below.\r\n\r\nbegin 644 %s\r\n%s`\r\nend\r\n" % (name, lines)
        return with_parts(message, [part(b"text/plain", b"7bit", body)], rng)
    if place.startswith("ooxml-"):
        folder = {"ooxml-word": "word", "ooxml-xl": "xl"}[place]
        return with_parts(message, [attachment(ooxml(data, rng, folder), b"paper.docx", rng)], rng)
    if place == "gzip":
        return with_parts(message, [attachment(gzip.compress(data, mtime=0), name + b".gz", rng)], rng)
    if place == "rfc822":
        text = signature is not None and signature.target in (3, 7)
        inner = text_part(data, b"html" if signature.target == 3 else b"plain", rng) if text else attachment(data, name, rng)
        return with_parts(message, [b"Content-Type: message/rfc822\r\n\r\n" + in_message(inner, rng)], rng)
    return with_parts(message, [attachment(data, name, rng)], rng)


# ------------------------------------------------------------------- plants

class Planter:
    """Chooses signatures and carries them into messages."""

    # How often each kind of plant is made.
    WEIGHTS = {0: 16, 1: 6, 2: 6, 3: 14, 4: 6, 5: 2, 6: 4, 7: 12, 9: 2, 10: 3, 11: 2, 12: 2,
               "logical": 30, "hash": 8, "allowed": 4, "ignored": 1}

    def __init__(self, folder, rng):
        self.rng = rng
        ignored = read_ignored(folder)
        self.pools = {}
        for signature in read_signatures(folder):
            if signature.unread or not signature.subs:
                continue
            key = signature.target if not signature.source.lower().endswith(".ldb") else ("logical", signature.target)
            if signature.name in ignored:
                key = "ignored"
            self.pools.setdefault(key, []).append(signature)
        self.logical = [key for key in self.pools if isinstance(key, tuple)]
        self.hashes, self.allowed = [], []

    def signature(self, kind):
        if kind == "logical":
            # Most logical signatures are for executables; a mail has others.
            key = self.rng.choice(self.logical)
            return self.rng.choice(self.pools[key])
        return self.rng.choice(self.pools[kind])

    def made(self, kind, places=None):
        """(signature, layer, how, place) of a signature that can be planted."""
        for _ in range(400):
            signature = self.signature(kind)
            try:
                place = place_of(signature, self.rng)
                if places and place not in places:
                    continue
                return (signature, *build(signature, self.rng), place)
            except Unplantable:
                continue
        return None

    def plant(self, message, number):
        """A message with one plant more, and its line of the manifest."""
        kinds = [k for k in self.WEIGHTS if k in self.pools or k in ("hash", "allowed") or k == "logical" and self.logical]
        kind = self.rng.choices(kinds, [self.WEIGHTS[k] for k in kinds])[0]
        if kind == "hash":
            return self.plant_hash(message, number)
        # Not in quoted-printable: clamscan's digest of such an attachment is
        # not that of the file, so its allow list cannot know the file.
        made = self.made(0, {"attachment", "zip"}) if kind == "allowed" else self.made(kind)
        if made is None:
            return None
        signature, data, how, place = made
        record = {"kind": "logical" if isinstance(kind, str) and kind == "logical" else str(kind) if isinstance(kind, str) else "body",
                  "target": signature.target, "place": place, "how": how, "names": [signature.name],
                  "origin": signature.where(), "bytes": len(data)}
        if kind == "allowed":
            # A wrong size must not allow anything.
            wrong = self.rng.random() < 0.3
            record["how"] = "wrong size" if wrong else "listed"
            self.allowed.append("%s:%d:Planted-Allow-%d" % (hashlib.md5(data).hexdigest(), len(data) + wrong, number))
        return carry(message, data, place, signature, self.rng), record

    def plant_hash(self, message, number):
        rng = self.rng
        data = Filler(rng, rng.random() < 0.5).prose(rng.randrange(6, 5000))
        place = rng.choice(["attachment", "zip", "gzip", "rfc822", "quoted", "zip-in-zip", "uuencoded"])
        digest = rng.choice(["md5", "sha1", "sha256"])
        name = "Planted.Hash-%d" % number
        size = rng.choice(["*", str(len(data)), str(len(data))])
        line = "%s:%s:%s%s" % (hashlib.new(digest, data).hexdigest(), size, name, ":73" if size == "*" else "")
        self.hashes.append((digest, line))
        record = {"kind": "hash", "target": None, "place": place, "how": digest + (", any size" if size == "*" else ""),
                  "names": [name], "origin": "planted", "bytes": len(data)}
        fake = Signature(name, "planted", number, 0, [])
        return carry(message, data, place, fake, rng), record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("mails", help="folder of messages")
    parser.add_argument("databases", help="folder of database files, unpacked")
    parser.add_argument("out", help="new folder for messages, databases and manifest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=3, help="plant in every N-th message (3)")
    parser.add_argument("--per-message", type=int, default=1, help="plants in such a message (1)")
    options = parser.parse_args()
    messages = sorted(glob.glob(os.path.join(options.mails, "**", "*.eml"), recursive=True))
    if not messages:
        print("SKIP: no *.eml in %s (make them with make_mail_corpus.py)" % options.mails)
        return 0
    if not os.path.isdir(options.databases):
        print("SKIP: no folder %s" % options.databases)
        return 0
    if os.path.exists(os.path.join(options.out, "msg")):
        print("%s exists already" % os.path.join(options.out, "msg"), file=sys.stderr)
        return 2
    os.makedirs(os.path.join(options.out, "msg"))
    os.makedirs(os.path.join(options.out, "db"))
    for path in sorted(glob.glob(os.path.join(options.databases, "*"))):
        shutil.copyfile(path, os.path.join(options.out, "db", os.path.basename(path)))
    planter = Planter(options.databases, random.Random(options.seed))
    kinds = {}
    with open(os.path.join(options.out, "manifest.jsonl"), "w", encoding="utf-8") as manifest:
        for number, path in enumerate(messages):
            with open(path, "rb") as file:
                message = file.read()
            name = "%05d-%s" % (number, os.path.basename(path))
            if number % options.every == 0:
                for nth in range(options.per_message):
                    # A seed for each plant: one more elsewhere changes none.
                    planter.rng = random.Random("%d %d %d" % (options.seed, number, nth))
                    planted = planter.plant(message, number * options.per_message + nth)
                    if planted is None:
                        continue
                    message, record = planted
                    # Some mail lies in the store with the line ends of Unix.
                    if nth + 1 == options.per_message and planter.rng.random() < 0.15:
                        message = message.replace(b"\r\n", b"\n")
                        record["how"] += ", LF line ends"
                    manifest.write(json.dumps({"file": name, **record}) + "\n")
                    kinds[record["kind"]] = kinds.get(record["kind"], 0) + 1
            with open(os.path.join(options.out, "msg", name), "wb") as file:
                file.write(message)
    for extension, kept in (("hdb", ["md5"]), ("hsb", ["sha1", "sha256"])):
        with open(os.path.join(options.out, "db", "planted." + extension), "w", encoding="ascii") as file:
            file.write("# digests of planted attachments\n" + "".join(line + "\n" for digest, line in planter.hashes if digest in kept))
    with open(os.path.join(options.out, "db", "planted.fp"), "w", encoding="ascii") as file:
        file.write("# planted attachments that are allowed\n" + "".join(line + "\n" for line in planter.allowed))
    print("%d messages, %d plants: %s" % (len(messages), sum(kinds.values()), json.dumps(kinds, sort_keys=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
