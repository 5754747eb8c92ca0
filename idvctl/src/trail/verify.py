#!/usr/bin/env python3
"""Checks an audit trail of idv-callback, offline, with nothing but Python 3.8 or newer.

    python3 verify.py BUNDLE [--key NAME+HASH+BASE64] [--at-least-once]

BUNDLE is a folder (or a .tar) with records/ (JSON lines, plain or .gz), leaves.jsonl and checkpoints/.
Without --key the signatures are not looked at. With --at-least-once identical copies of a record, and records out of their
order, are no findings: some deliveries are like that. Exit code: 0 sound, 1 not sound, 2 cannot be read.

A record is a line {"schema":"idv-audit/1", ..., "writer":W, "seq":N, "prev":P}: P is the SHA-256 of the line of W's record N-1
(64 zeros for N = 0). A leaf {"writer":W,"from":A,"to":B,"head":H} says that H is the SHA-256 of the line of W's record B.
A checkpoint (C2SP tlog-checkpoint) signs the RFC 6962 tree hash of the first so many leaves.
"""
import base64, gzip, hashlib, io, json, os, sys, tarfile

BEGIN, ZERO, MOST_WAITING = b'{"schema":"idv-audit/', "0" * 64, 4096
sha256 = lambda data: hashlib.sha256(data).digest()

# --- Ed25519 (RFC 8032, section 5.1.7) ------------------------------------------------------------------------------------
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)

def point(data):
    y = int.from_bytes(data, "little"); sign, y = y >> 255, y & (2**255 - 1)
    if y >= P: return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
        if (v * x * x - u) % P: return None
    if x == 0 and sign: return None
    if x & 1 != sign: x = P - x
    return (x, y, 1, x * y % P)

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)

def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1: q = add(q, p)
        p, n = add(p, p), n >> 1
    return q

BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def ed25519(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L: return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    one, other = times(s, BASE), add(r, times(h, a))
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0

# --- what is in the bundle --------------------------------------------------------------------------------------------------
def plain(name):
    name = name.replace("\\", "/")
    return name[2:] if name.startswith("./") else name

def files(bundle):
    if os.path.isdir(bundle):
        for folder, _, names in sorted(os.walk(bundle)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as file: yield plain(os.path.relpath(path, bundle)), file.read()
    else:
        with tarfile.open(bundle) as tar:
            for member in sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name):
                yield plain(member.name), tar.extractfile(member).read()

def records(contents):
    for name, data in contents:
        if not name.startswith("records/"): continue
        if data[:2] == b"\x1f\x8b": data = gzip.decompress(data)
        for number, line in enumerate(io.BytesIO(data), 1):
            if not line.startswith(BEGIN): continue
            parts = line.rstrip().split(b"}" + BEGIN)
            for index, part in enumerate(parts):
                part = (BEGIN if index else b"") + part + (b"}" if index < len(parts) - 1 else b"")
                yield "%s:%d" % (name, number), part

# --- the chains -------------------------------------------------------------------------------------------------------------
class Writer:
    def __init__(self, name, findings):
        self.name, self.find = name, lambda *f: findings.append((f[0], name) + f[1:])
        self.next, self.head, self.seen, self.waiting, self.last = 0, ZERO, {}, {}, "nothing"

    def take(self, seq, record):
        digest, _, _, place = record
        if seq < self.next:
            if seq not in self.seen:
                self.seen[seq] = digest
                self.find("reordered", seq, seq, place, "it stands behind later ones")
            elif self.seen[seq] == digest: self.find("duplicate", seq, seq, place, "it stands there before")
            else: self.find("fork", seq, seq, place, "another record before has this number")
        elif seq > self.next:
            if seq not in self.waiting:
                self.waiting[seq] = record
                if len(self.waiting) > MOST_WAITING: self.settle(MOST_WAITING // 2)
            elif self.waiting[seq][0] == digest: self.find("duplicate", seq, seq, place, "it stands there before")
            else: self.find("fork", seq, seq, place, "another record before has this number")
        else:
            if self.waiting: self.find("reordered", seq, seq, place, "it stands behind record %d" % min(self.waiting))
            self.accept(record)
            while self.next in self.waiting: self.accept(self.waiting.pop(self.next))

    def accept(self, record):
        (digest, prev, code, place), seq = record, self.next
        if self.head is not None and self.head != prev:
            at = max(seq - 1, 0)
            self.find("changed", at, at, self.last if seq else place, "record %d (%s) was written after another one" % (seq, place))
        if seq == 0 and code != "IDV0001": self.find("no_beginning", 0, 0, place, "the first record is not one of a beginning")
        self.head, self.seen[seq], self.last, self.next = digest.hex(), digest, place, seq + 1

    def settle(self, left=0):
        while len(self.waiting) > left:
            seq = min(self.waiting)
            record = self.waiting.pop(seq)
            if seq > self.next:
                self.find("gap", self.next, seq - 1, record[3], "missing between %s and record %d" % (self.last, seq))
                self.next, self.head = seq, None
            self.accept(record)
        while self.next in self.waiting: self.accept(self.waiting.pop(self.next))

def chains(contents, findings):
    writers, count = {}, 0
    for place, line in records(contents):
        try: record = json.loads(line)
        except (ValueError, RecursionError): continue  # cut short by a kill: no record
        count += 1
        name, seq, prev = record.get("writer"), record.get("seq"), record.get("prev")
        if not isinstance(name, str) or type(seq) is not int or not 0 <= seq < 2**64 or not isinstance(prev, str) or record["schema"] != "idv-audit/1":
            findings.append(("unlinked", "", 0, 0, place, "it has no link, or its form is not known"))
            continue
        if name not in writers: writers[name] = Writer(name, findings)
        writers[name].take(seq, (sha256(line), prev, record.get("code"), place))
    for name in sorted(writers): writers[name].settle()
    return writers, count

# --- the seals --------------------------------------------------------------------------------------------------------------
def tree(leaves):
    if not leaves: return sha256(b"")
    if len(leaves) == 1: return sha256(b"\0" + leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + tree(leaves[:split]) + tree(leaves[split:]))

def signature(note, key):
    name, hashed, data = key.split("+", 2)
    data = base64.b64decode(data)
    text, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or parts[1] != name: continue
        signed = base64.b64decode(parts[2])
        if signed[:4].hex() == hashed: return ed25519(data[1:], (text + "\n").encode(), signed[4:])
    return False

def seals(contents, writers, key, findings):
    contents = dict(contents)
    lines = contents.get("leaves.jsonl", b"").splitlines()
    prev, sealed = ZERO, 0
    notes = sorted(name for name in contents if name.startswith("checkpoints/"))
    if key and not notes: findings.append(("bad_checkpoint", "checkpoints", 0, 0, "checkpoints", "there is no checkpoint"))
    for number, name in enumerate(notes):
        note = contents[name].decode()
        find = lambda kind, text: findings.append((kind, os.path.basename(name), number, number, name, text))
        if key and not signature(note, key): find("bad_signature", "the signature does not hold")
        before, prev = prev, sha256(note.encode()).hex()
        said = note.split("\n\n")[0].splitlines()
        link = [line[5:] for line in said[3:] if line.startswith("prev ")]
        if len(said) < 3 or not said[1].isdigit() or not link:
            find("bad_checkpoint", "it is no checkpoint")
            continue
        size = int(said[1])
        if key and key.split("+")[0] != said[0]: find("bad_checkpoint", "it is another log's")
        if link[0] != before: find("bad_checkpoint", "it does not follow the one before")
        if size > len(lines): find("bad_checkpoint", "leaves that it seals are missing")
        elif size < sealed: find("bad_checkpoint", "it seals less than the one before")
        elif base64.b64encode(tree(lines[:size])).decode() != said[2]: find("bad_checkpoint", "the leaves are not those that it seals")
        sealed = max(size, sealed)
    for number, line in enumerate(lines):
        find = lambda kind, *rest: findings.append((kind,) + rest)
        if number >= sealed: find("bad_checkpoint", "leaves", number, number, "leaves", "no checkpoint seals it")
        try:
            leaf = json.loads(line)
            name, first, last, head = leaf["writer"], leaf["from"], leaf["to"], leaf["head"]
        except (ValueError, KeyError, TypeError):
            find("bad_checkpoint", "leaves", number, number, "leaves", "it is no leaf")
            continue
        writer = writers.get(name)
        if writer is None or writer.next <= last:
            find("sealed_missing", name, max(writer.next, first) if writer else first, last, "sealed", "sealed records are not there")
        elif last in writer.seen and writer.seen[last].hex() != head:
            find("sealed_changed", name, last, last, "sealed", "it is not the record that was sealed")
    return len(lines)

def main(arguments):
    key = None
    if "--key" in arguments:
        at = arguments.index("--key")
        key = (arguments[at + 1:] or [""])[0].strip()
        if key.count("+") < 2: sys.exit("--key must be NAME+HASH+BASE64")
        del arguments[at:at + 2]
    as_json, copies = "--json" in arguments, "--at-least-once" in arguments
    arguments = [a for a in arguments if a not in ("--json", "--at-least-once")]
    if len(arguments) != 1: sys.exit(__doc__)
    try: contents = list(files(arguments[0]))
    except (OSError, tarfile.TarError) as error:
        print("%s: %s" % (arguments[0], error), file=sys.stderr)
        return 2
    findings = []
    writers, count = chains(contents, findings)
    if copies: findings = [f for f in findings if f[0] not in ("duplicate", "reordered")]
    leaves = seals(contents, writers, key, findings)
    if as_json: print(json.dumps({"records": count, "findings": [f[:4] for f in findings]}))
    else:
        for kind, writer, first, last, place, text in findings:
            print("%s %s %s at %s: %s" % (kind, writer, first if first == last else "%d-%d" % (first, last), place, text))
        verdict = "NOT SOUND" if findings else "sound" if count else "there is nothing in it"
        print("%d records of %d writers, %d sealed ranges, signatures %s: %s" % (
            count, len(writers), leaves, "checked" if key else "not checked", verdict))
    return 1 if findings or not count else 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
