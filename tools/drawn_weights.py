"""Weights that are not stored but drawn again from a counter (tests/support/drawn_weights.h draws the same). Needs numpy only."""
import json
import math
import struct

import numpy as np


def uniform(key, name, count):
    """count floats in [-1, 1), multiples of 2^-23: the upper bits of splitmix64 at hash(key, name) + i."""
    with np.errstate(over="ignore"):
        state = np.uint64(0xcbf29ce484222325)
        for byte in f"{key}/{name}".encode():                       # FNV-1a
            state = (state ^ np.uint64(byte)) * np.uint64(0x100000001b3)
        z = state + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0


def drawn(key, name, shape, offset, scale):
    values = offset + scale * uniform(key, name, math.prod(shape))
    return values.astype(np.float32).reshape(shape)


def read_table(path):
    """weights.tsv -> {tensor name: numbers}."""
    lines = path.read_text().splitlines()
    tensors = {}
    for line in lines[1:]:
        name, extents, offset, scale = line.split("\t")
        tensors[name] = drawn(lines[0], name, tuple(map(int, extents.split("x"))), float(offset), float(scale))
    return tensors


def with_unread_tensors(case, tensors):
    """Published Gemma 3n has keys and values in layers that read those of others, and llama.cpp wants them there."""
    if not case.startswith("gemma3n_gguf"):
        return tensors
    unread = {}
    for layer in range(20, 25):
        for name in "k_proj", "v_proj", "k_norm":
            unread[f"model.layers.{layer}.self_attn.{name}.weight"] = tensors[f"model.layers.19.self_attn.{name}.weight"]
    return {**tensors, **unread}


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values).tobytes())
