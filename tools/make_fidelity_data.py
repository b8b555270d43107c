#!/usr/bin/env python3
"""Writes tests/data/NAME-frankenstein-2048.npz: what a float32 computation of a model file's own weights says of a text.

    python tools/make_fidelity_data.py smollm2-135m-instruct [--tokens 2048] [--kept 64]

transformers reads the GGUF (weights as float32) and runs it in float32 over the first tokens of tests/data/frankenstein.txt, as `fovea
tokenize` cuts them. Kept are, of each position, the most likely tokens and the logarithms of their probabilities. Needs torch,
transformers >= 5, accelerate, gguf, numpy.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("USE_HUB_KERNELS", "0")

import numpy as np
import torch
import transformers

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "bench"))
from peer import FOVEA, model_path  # noqa: E402

TEXT = REPOSITORY / "tests/data/frankenstein.txt"


def tokens_of(model, count):
    done = subprocess.run([FOVEA, "tokenize", "-m", model, "-f", TEXT, "--json"], capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout)["tokens"][:count], np.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the catalogue")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--kept", type=int, default=64)
    args = parser.parse_args()
    file = pathlib.Path(model_path(args.name))
    tokens = tokens_of(args.name, args.tokens)
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    with torch.no_grad():
        logits = model.eval()(torch.tensor(tokens[None].astype(np.int64))).logits[0]
    top = torch.log_softmax(logits.double(), dim=-1).topk(args.kept, dim=-1)
    out = REPOSITORY / f"tests/data/{args.name}-frankenstein-{args.tokens}.npz"
    np.savez(out, tokens=tokens, top_ids=top.indices.numpy().astype(np.int32), top_logprobs=top.values.numpy().astype(np.float32))
    print(f"{out.relative_to(REPOSITORY)}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
