#!/usr/bin/env python3
"""Writes tests/data/kernels: blocks of every weight format and the float32 values that the gguf package gives for them.

    python3 tools/make_kernel_data.py [FOLDER]        default: tests/data/kernels

<format>.blocks holds ROWS rows of INPUTS values as GGUF stores them, <format>.f32 their values. All bytes are random, except
for the scales of a block, which are random numbers of a sane size. The same script gives the same bytes. Needs the
packages gguf and numpy.
"""
import pathlib
import sys

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

ROWS, INPUTS = 3, 512
# format -> where the f16 scales of a block stand
F16_FIELDS = {
    "f16": [0], "bf16": [], "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_k": [80, 82],
    "q3_k": [108], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "iq4_nl": [0], "iq4_xs": [0], "mxfp4": [],
}


def plain_values(name, random):
    values = random.normal(0, 1, (ROWS, INPUTS)).astype(np.float32)
    if name == "f16":
        return values.astype(np.float16).view(np.uint8)
    return np.ascontiguousarray((values.view(np.uint32) >> 16).astype(np.uint16)).view(np.uint8)


def random_blocks(name, kind, random):
    values, size = GGML_QUANT_SIZES[kind]
    if values == 1:
        return plain_values(name, random)
    blocks = random.integers(0, 256, (ROWS * INPUTS // values, size), dtype=np.uint8)
    for at in F16_FIELDS[name]:
        scales = random.normal(0, 0.02, (len(blocks), 1)).astype(np.float16)
        blocks[:, at:at + 2] = scales.view(np.uint8)
    if name == "mxfp4":  # e of the scale 2^(e - 128): its least and greatest values too, but no overflow
        blocks[:, 0] = random.integers(110, 135, len(blocks))
        blocks[:7, 0] = [0, 1, 2, 3, 127, 128, 250]
    return blocks.reshape(ROWS, -1)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/kernels")
    folder.mkdir(parents=True, exist_ok=True)
    for name in F16_FIELDS:
        kind = Type[name.upper()]
        stored = random_blocks(name, kind, np.random.default_rng(int(kind)))
        values = dequantize(stored, kind).astype("<f4")
        assert values.shape == (ROWS, INPUTS) and np.isfinite(values).all()
        (folder / f"{name}.blocks").write_bytes(stored.tobytes())
        (folder / f"{name}.f32").write_bytes(values.tobytes())


if __name__ == "__main__":
    main()
