#!/usr/bin/env python3
"""Golden data of every family: tiny models and what transformers computes for them.

    pip install torch 'transformers>=5' safetensors numpy
    tools/make_family_data.py [--out tests/data/families] [--only FAMILY,...]

Every family of family_shapes.py has two shapes with two draws each: <family>_a1, _a2, _b1, _b2. A case is a folder:

  config.json     the configuration, as written in family_shapes.py; the reference model is built from that very file
  weights.tsv     first the key of the counter, then name, shape, offset and scale of each tensor of model.safetensors. The numbers
                  are offset + scale * u with u in [-1, 1) from a counter (drawn_weights.py): whoever needs the weights draws them
                  again, and none are stored
  tokens.npy, lengths.npy, logits.npy, greedy.npy    as in tests/data/oracle
  mistakes.json   configurations that are wrong in one thing each; every one moves the logits by at least SENSITIVITY

Reference: transformers, eager attention, float32, evaluated in full at every token: continuations do not go through its cache.
A draw is kept only if float32 and float64 agree and no greedy choice is closer than MARGIN.
"""
import argparse
import copy
import json
import math
import os
import pathlib
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("USE_HUB_KERNELS", "0")

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

from drawn_weights import drawn, uniform
from family_shapes import FAMILIES

GREEDY_TOKENS = 32
MARGIN = 0.01
DRIFT = 2e-4
SENSITIVITY = 0.02
ATTEMPTS = 60


def between(low, high):
    return (low + high) / 2, (high - low) / 2


def inverse_softplus(x):
    return x + math.log(-math.expm1(-x))


def range_of(name, shape, config):
    """(offset, scale): norms around their neutral value, matrices that keep activations of order one, attention that picks."""
    kind, leaf = config["model_type"], name.rsplit(".", 1)[-1]
    deviation = lambda s: (0.0, s * math.sqrt(3))
    if leaf == "layer_scalar":
        return between(0.6, 1.2)
    if leaf == "sinks":
        return between(0.0, 2.0)
    if leaf == "A_log":
        return between(math.log(0.3), math.log(6.0))
    if leaf == "D":
        return between(0.5, 1.5)
    if leaf == "dt_bias" or name.endswith("dt_proj.bias"):
        return between(inverse_softplus(0.02), inverse_softplus(0.6))
    if "conv1d" in name:
        return deviation(0.6 if leaf == "weight" else 0.3)
    if leaf in ("scale", "per_expert_scale", "correct_output_scale"):
        return between(0.5, 1.5)
    if leaf == "e_score_correction_bias":
        return deviation(0.25)
    if "norm" in name and len(shape) == 1 and leaf == "weight":
        neutral = 1.0
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            neutral = 1.7 / shape[0] ** 0.25 if kind in ("gemma4_text", "gemma3n_text") else 1.4
        elif config.get("num_hidden_layers", 0) > 20 and ".post_" in name:
            neutral = 0.3                                      # or rounding grows a thousandfold through so many layers
        return (neutral - 1.0 if kind in ("gemma2", "gemma3_text") else neutral), 0.5 * neutral
    if leaf.endswith("bias"):
        return deviation(0.3)
    if "embed" in name and len(shape) == 2 and "proj" not in name:
        if "per_layer" in name:
            return deviation(config["hidden_size_per_layer_input"] ** -0.5)
        tied = config.get("tie_word_embeddings", kind in ("gemma2", "gemma3_text", "cohere2", "gemma4_text", "gemma3n_text"))
        scaled = kind.startswith("gemma") or kind == "granite"
        plain = 1.5 * shape[1] ** -0.5 if tied or scaled else 1.0
        return deviation(plain * (4.0 if kind == "cohere2" else 1.0))
    if name.startswith("lm_head"):
        return deviation(2.0 * shape[1] ** -0.5)
    fan = shape[-2] if len(shape) == 3 and kind in ("gpt_oss", "llama4_text") else shape[-1]
    gain = 1.4
    if name.endswith(("q_proj.weight", "k_proj.weight", "qkv_proj.weight", "q_b_proj.weight", "kv_b_proj.weight")):
        gain = 1.9
    elif kind == "gpt_oss" and "experts" in name:
        gain = 5.0 if "gate_up" in name else 0.4              # so that the clamp takes part
    elif "router" in name or name.endswith("gate.weight"):
        gain = 2.0
    elif "prediction_coefs" in name or "correction_coefs" in name:
        gain = 0.6
    return deviation(gain * fan ** -0.5)


# ---- a case

def load(folder, dtype=torch.float32):
    config = transformers.AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return model.eval().requires_grad_(False)


def published_shapes(config, folder):
    """Names and shapes of the tensors as save_pretrained writes them."""
    inner = transformers.AutoConfig.for_model(**copy.deepcopy(config))
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(inner).to(torch.float32).save_pretrained(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}


def draw(config, shapes, key, folder):
    table, tensors = [], {}
    for name, shape in sorted(shapes.items()):
        offset, scale = (float(np.float32(x)) for x in range_of(name, shape, config))
        tensors[name] = torch.from_numpy(drawn(key, name, shape, offset, scale))
        table.append(f"{name}\t{'x'.join(map(str, shape))}\t{offset!r}\t{scale!r}\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return f"{key}\n" + "".join(table)


def draw_sequences(config, window, key):
    lengths = [1, window, window + 1, 5 * window + 3] if window else [1, 7, 60]
    sequences = []
    for i, length in enumerate(lengths):
        u = uniform(key, f"tokens {i}", length)
        tokens = 3 + ((u + 1) / 2 * (config["vocab_size"] - 3)).astype(np.int64)
        tokens[0] = 2
        sequences.append(torch.from_numpy(tokens))
    return sequences


def logits_of(model, sequences):
    return [model(input_ids=s[None], use_cache=False).logits[0].float() for s in sequences]


def continue_greedily(model, sequence):
    tokens, margin = sequence, float("inf")
    for _ in range(GREEDY_TOKENS):
        best = model(input_ids=tokens[None], use_cache=False).logits[0, -1].float().topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        tokens = torch.cat([tokens, best.indices[:1]])
    return tokens[len(sequence):], margin


def largest_difference(a, b):
    return max(float((x - y).abs().max()) for x, y in zip(a, b))


def mistaken(family, config, letter):
    for name, (letters, edit) in family.mistakes.items():
        if letter in letters:
            wrong = copy.deepcopy(config)
            edit(wrong)
            yield name, wrong


def write_case(out, name, letter, number):
    family = FAMILIES[name]
    config = family.a if letter == "a" else family.b
    window = family.window[0 if letter == "a" else 1]
    case = f"{name}_{letter}{number}"
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        shapes = published_shapes(config, place / "shapes")
        weakest = None
        for attempt in range(ATTEMPTS):
            key = f"{case}/{attempt}"
            table = draw(config, shapes, key, place / "model")
            model = load(place / "model")
            sequences = draw_sequences(config, window, key)
            logits = logits_of(model, sequences)
            drift = largest_difference(logits, logits_of(load(place / "model", torch.float64), sequences))
            if not drift <= DRIFT:
                continue
            greedy = [continue_greedily(model, s) for s in sequences]
            if min(margin for _, margin in greedy) < MARGIN:
                continue
            mistakes, weakest = {}, (float("inf"), "")
            for mistake, wrong in mistaken(family, config, letter):
                draw(wrong, shapes, key, place / "wrong")
                weakest = min(weakest, (largest_difference(logits, logits_of(load(place / "wrong"), sequences)), mistake))
                mistakes[mistake] = wrong
            if weakest[0] >= SENSITIVITY:
                break
        else:
            raise SystemExit(f"{case}: {ATTEMPTS} draws, none passes; loosen the shape ({drift=} {weakest=})")
    folder = out / case
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "weights.tsv").write_text(table)
    changed = {m: {k: wrong.get(k) for k in {**config, **wrong} if wrong.get(k) != config.get(k)}
               for m, wrong in mistakes.items()}
    (folder / "mistakes.json").write_text(json.dumps(changed, indent=1) + "\n")
    np.save(folder / "tokens.npy", torch.cat(sequences).numpy().astype(np.int32))
    np.save(folder / "lengths.npy", np.array([len(s) for s in sequences], np.int32))
    np.save(folder / "logits.npy", torch.cat(logits).numpy().astype(np.float32))
    np.save(folder / "greedy.npy", torch.stack([tokens for tokens, _ in greedy]).numpy().astype(np.int32))
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case:18s} draw {attempt:2d}  {size / 1e3:4.0f} kB  logits std {torch.cat(logits).std():.2f}  drift {drift:.0e}  "
          f"weakest mistake: {weakest[1]} {weakest[0]:.2g}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "tests/data/families")
    parser.add_argument("--only", default=",".join(FAMILIES), help="families, comma separated")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    np.seterr(over="ignore")
    with torch.no_grad():
        for name in args.only.split(","):
            for letter in "ab":
                for number in (1, 2):
                    write_case(args.out, name, letter, number)


if __name__ == "__main__":
    main()
