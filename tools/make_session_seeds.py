#!/usr/bin/env python3
"""Seeds of src/kv/session_fuzz.cpp, written from docs/session-format.md alone.

    tools/make_session_seeds.py      writes tests/data/files/seeds/session

The first byte of a seed says what the fuzz target mends: 1 checksums, 2 fingerprints too. So there are none here.
"""
import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/files/seeds/session"
PAGE_TOKENS = 16
PAGE, STATE, FORM = 1, 2, 3
# window, heads, size of a head, values in key, codec, layers, bytes of state; bytes of a page
GROUPS = [((20, 1, 4, 0, 1), [0, 1], 0, 1280), ((0, 1, 3, 0, 0), [2], 0, 1216), ((0, 0, 0, 0, 2), [3], 128, 128)]


def record(kind, group, payload):
    return struct.pack("<IIQQQ", kind, group, len(payload), 0, 0) + payload


def form():
    name = b"fuzz"
    payload = struct.pack("<I", len(name)) + name + struct.pack("<I", len(GROUPS))
    for numbers, layers, state_bytes, _ in GROUPS:
        payload += struct.pack("<8IQ", *numbers, numbers[-1], len(layers), 0, state_bytes) + struct.pack(f"<{len(layers)}I", *layers)
    return record(FORM, 0, payload)


def pages_of(numbers, state_bytes, held):
    """First page and how many, of a sequence of so many tokens."""
    if state_bytes:
        return 0, int(held > 0)
    window = numbers[0]
    first = 0 if window == 0 or held < window else (held - window + 1) // PAGE_TOKENS
    return first, -(-held // PAGE_TOKENS) - first


def append_state(file, held, tokens):
    payload = struct.pack("<4Q", tokens, held, 4, len(GROUPS))
    for group, (numbers, _, state_bytes, page_bytes) in enumerate(GROUPS):
        first, count = pages_of(numbers, state_bytes, held)
        payload += struct.pack("<II", first, count)
        for page in range(count):
            file += record(PAGE, group, bytes([page & 255]) * page_bytes)
            payload += struct.pack("<Q", len(file) - page_bytes)
    payload += struct.pack(f"<{tokens}i", *range(tokens)) + b"note"
    return file + record(STATE, 0, payload)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    header = b"fovea-kv" + struct.pack("<IIQQQ", 2, PAGE_TOKENS, 0, 0, 0)
    short = append_state(header + form(), 5, 6)
    seeds = {"empty": header, "form": header + form(), "short": short, "two_states": append_state(short, 40, 41),
             "torn": append_state(short, 40, 40)[:-9], "nothing_held": append_state(header + form(), 0, 3)}
    for name, contents in seeds.items():
        for mending in 1, 3:
            (FOLDER / f"{name}-{mending}").write_bytes(bytes([mending]) + contents)


if __name__ == "__main__":
    main()
