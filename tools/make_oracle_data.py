#!/usr/bin/env python3
"""Golden data: tiny random models and what transformers computes for them.

    pip install torch 'transformers>=5' safetensors numpy
    tools/make_oracle_data.py [--out tests/data/oracle] [--only CASE,...]

Every case is a folder: config.json and model.safetensors (float32), tokens.npy (all sequences, one after the other),
lengths.npy (tokens of each), logits.npy (float32, one row per token) and greedy.npy (32 tokens that continue each
sequence, never stopping at an end token). Reference: transformers, eager attention, float32.

The configuration is written by hand, in the spelling of the published files or in that of transformers 5, and the
reference model is built from that very text, so what the engine reads is what the reference read.

A draw of weights is kept only if it can tell right from wrong: float32 and float64 agree, no greedy choice is closer
than MARGIN, and each mistake of `mistakes()` moves the logits by at least SENSITIVITY.
"""
import argparse
import copy
import json
import pathlib
import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

GREEDY_TOKENS = 32
MARGIN = 0.01        # smallest distance between the best and the second best token of a greedy choice
DRIFT = 1e-4         # largest difference between float32 and float64
SENSITIVITY = 0.02   # smallest change of logits by a mistake; tests allow 1e-3
FIRST_PLAIN_TOKEN = 3  # 0, 1, 2 are pad, eos, bos

LLAMA3_SCALING = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}


def gemma3(**changes):
    return {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "vocab_size": 144, "hidden_size": 32,
            "intermediate_size": 48, "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 256, "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False,
            "attn_logit_softcapping": None, "final_logit_softcapping": None, "bos_token_id": 2, "eos_token_id": 1,
            "pad_token_id": 0, **changes}


def llama(**changes):
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 144, "hidden_size": 32,
            "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 256, "hidden_act": "silu", "attention_bias": False,
            "mlp_bias": False, "tie_word_embeddings": False, "bos_token_id": 2, "eos_token_id": 1, **changes}


ODD_GEMMA3 = {"vocab_size": 131, "hidden_size": 36, "intermediate_size": 52, "num_hidden_layers": 5,
              "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 20, "query_pre_attn_scalar": 25,
              "sliding_window": 11}
ODD_LLAMA = {"vocab_size": 131, "hidden_size": 36, "intermediate_size": 52, "num_attention_heads": 6,
             "num_key_value_heads": 3}

PUBLISHED_GEMMA3_ROPE = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": None}
PUBLISHED_GEMMA3_LINEAR = {**PUBLISHED_GEMMA3_ROPE, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
GEMMA3_ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 1e6},
               "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
GEMMA3_LINEAR = {**GEMMA3_ROPE, "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}}


def layer_types(layers, period):
    return ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(layers)]


# name -> (configuration of the text model, prefix of the tensors in a multimodal file or None)
CASES = {
    "gemma3": (gemma3(tie_word_embeddings=True, **PUBLISHED_GEMMA3_ROPE, sliding_window_pattern=6), None),
    "gemma3_v5": (gemma3(tie_word_embeddings=True, rope_parameters=GEMMA3_ROPE, layer_types=layer_types(7, 6)), None),
    "gemma3_odd_untied": (gemma3(**ODD_GEMMA3, tie_word_embeddings=False, **PUBLISHED_GEMMA3_ROPE,
                                 sliding_window_pattern=3), None),
    "gemma3_odd_untied_v5": (gemma3(**ODD_GEMMA3, tie_word_embeddings=False, rope_parameters=GEMMA3_ROPE,
                                    layer_types=layer_types(5, 2)), None),
    "gemma3_linear": (gemma3(tie_word_embeddings=True, **PUBLISHED_GEMMA3_LINEAR, sliding_window_pattern=6), None),
    "gemma3_odd_linear_v5": (gemma3(**ODD_GEMMA3, tie_word_embeddings=True, rope_parameters=GEMMA3_LINEAR,
                                    layer_types=layer_types(5, 3)), None),
    # The large published files say neither pattern nor bases: the defaults of the family apply.
    "gemma3_wrapped": (gemma3(rope_scaling={"rope_type": "linear", "factor": 8.0}), "language_model."),
    "gemma3_wrapped_v5": (gemma3(**ODD_GEMMA3, rope_parameters=GEMMA3_LINEAR, layer_types=layer_types(5, 3)),
                          "model.language_model."),
    "llama": (llama(rope_theta=10000.0, rope_scaling=None), None),
    "llama_odd_v5": (llama(**ODD_LLAMA, head_dim=10, rope_parameters={"rope_type": "default", "rope_theta": 5000.0}), None),
    "llama3": (llama(rope_theta=5000.0, rope_scaling={"rope_type": "llama3", **LLAMA3_SCALING}), None),
    "llama3_odd_v5": (llama(**ODD_LLAMA, rope_parameters={"rope_type": "llama3", "rope_theta": 9000.0, **LLAMA3_SCALING,
                                                           "factor": 32.0, "high_freq_factor": 3.0}), None),
    "smollm2": (llama(hidden_size=36, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True,
                      rope_theta=100000.0, rope_scaling=None), None),
    "smollm2_odd_v5": (llama(vocab_size=131, hidden_size=50, intermediate_size=52, num_attention_heads=5,
                             num_key_value_heads=5, tie_word_embeddings=True,
                             rope_parameters={"rope_type": "default", "rope_theta": 10000.0}), None),
}


def is_gemma(text):
    return text["model_type"] == "gemma3_text"


def config_file(text, prefix):
    if prefix is None:
        return {**text, "torch_dtype" if "rope_theta" in text else "dtype": "float32"}
    inner = {k: v for k, v in text.items() if k not in ("architectures", "tie_word_embeddings")}
    return {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "dtype": "float32",
            "text_config": inner}


def reference_config(text):
    kind = transformers.Gemma3TextConfig if is_gemma(text) else transformers.LlamaConfig
    config = kind(**{k: copy.deepcopy(v) for k, v in text.items() if k not in ("model_type", "architectures")})
    config._attn_implementation = "eager"
    return config


def build(config, weights=None, dtype=torch.float32):
    kind = transformers.Gemma3ForCausalLM if config.model_type == "gemma3_text" else transformers.LlamaForCausalLM
    model = kind(copy.deepcopy(config)).to(dtype).eval().requires_grad_(False)
    if weights is not None:
        model.load_state_dict(weights)
    return model


def draw_weights(model, config, generator):
    """Norm weights around their neutral value, matrices that keep activations of order one."""
    neutral = 0.0 if config.model_type == "gemma3_text" else 1.0
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            p.copy_(neutral + 0.25 * noise)
        elif "embed_tokens" in name:
            p.copy_(noise * (1.5 / p.shape[1] ** 0.5))
        else:
            sharp = name.endswith(("q_proj.weight", "k_proj.weight"))  # attention that picks, so that masks matter
            p.copy_(noise * ((1.8 if sharp else 1.4) / p.shape[1] ** 0.5))
    model.tie_weights()


def draw_sequences(config, generator):
    window = getattr(config, "sliding_window", None) if config.model_type == "gemma3_text" else None
    lengths = [1, window - 1, window, window + 1, 5 * window + 3] if window else [1, 7, 33, 70]
    sequences = [torch.randint(FIRST_PLAIN_TOKEN, config.vocab_size, (n,), generator=generator) for n in lengths]
    for sequence in sequences:
        sequence[0] = 2
    return sequences


def logits_of(model, sequences):
    return torch.cat([model(input_ids=s[None], use_cache=False).logits[0].float() for s in sequences])


def continue_greedily(model, sequence):
    """32 tokens and the smallest margin of a choice."""
    tokens, margin = sequence, float("inf")
    for _ in range(GREEDY_TOKENS):
        best = model(input_ids=tokens[None], use_cache=False).logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        tokens = torch.cat([tokens, best.indices[:1]])
    return tokens[len(sequence):], margin


def mistakes(config):
    """Configurations that are wrong in one thing each."""
    def changed(edit):
        wrong = copy.deepcopy(config)
        edit(wrong)
        return wrong

    rope = config.rope_parameters
    if config.model_type == "gemma3_text":
        yield "window + 1", changed(lambda c: setattr(c, "sliding_window", c.sliding_window + 1))
        yield "window - 1", changed(lambda c: setattr(c, "sliding_window", c.sliding_window - 1))
        yield "pattern shifted", changed(lambda c: setattr(c, "layer_types", c.layer_types[1:] + c.layer_types[:1]))
        yield "local base on global", changed(lambda c: c.rope_parameters["full_attention"].update(rope_theta=1e4))
        yield "global base on local", changed(lambda c: c.rope_parameters["sliding_attention"].update(rope_theta=1e6))
        rope = rope["full_attention"]
        plain = {"full_attention": {"rope_type": "default", "rope_theta": rope["rope_theta"]},
                 "sliding_attention": config.rope_parameters["sliding_attention"]}
    else:
        plain = {"rope_type": "default", "rope_theta": rope["rope_theta"]}
        yield "base * 2", changed(lambda c: c.rope_parameters.update(rope_theta=2 * rope["rope_theta"]))
    if rope["rope_type"] != "default":
        yield "no scaling", changed(lambda c: setattr(c, "rope_parameters", plain))


def try_draw(config, generator):
    """(weights, sequences, logits, greedy, weakest mistake), or None when this draw proves too little."""
    model = build(config)
    draw_weights(model, config, generator)
    sequences = draw_sequences(config, generator)
    weights = model.state_dict()
    logits = logits_of(model, sequences)
    if float((logits - logits_of(build(config, weights, torch.float64), sequences)).abs().max()) > DRIFT:
        return None
    greedy = [continue_greedily(model, s) for s in sequences]
    if min(margin for _, margin in greedy) < MARGIN:
        return None
    weakest = min((float((logits_of(build(wrong, weights), sequences) - logits).abs().max()), name)
                  for name, wrong in mistakes(config))
    if weakest[0] < SENSITIVITY:
        return None
    return weights, sequences, logits, torch.stack([tokens for tokens, _ in greedy]), weakest


def check_config_file(folder, config):
    """transformers must read the same facts from the file as from our dictionary, nested or not."""
    read = transformers.AutoConfig.from_pretrained(folder).get_text_config()
    for key in ("rope_parameters", "head_dim", "num_key_value_heads", "tie_word_embeddings") + (
            ("layer_types", "sliding_window", "query_pre_attn_scalar") if config.model_type == "gemma3_text" else ()):
        assert getattr(read, key) == getattr(config, key), (folder, key, getattr(read, key), getattr(config, key))


def write_case(folder, name):
    text, prefix = CASES[name]
    config = reference_config(text)
    for attempt in range(100):
        draw = try_draw(config, torch.Generator().manual_seed(zlib.crc32(f"{name}/{attempt}".encode())))
        if draw is not None:
            break
    else:
        raise SystemExit(f"{name}: 100 draws, none passes; loosen the shape")
    weights, sequences, logits, greedy, weakest = draw
    tensors = {k: v.contiguous() for k, v in weights.items() if not (config.tie_word_embeddings and k == "lm_head.weight")}
    if prefix == "language_model.":          # language_model.model.layers...
        tensors = {prefix + k: v for k, v in tensors.items()}
    elif prefix is not None:                 # model.language_model.layers...
        tensors = {prefix + k.removeprefix("model."): v for k, v in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(config_file(text, prefix), indent=1) + "\n")
    check_config_file(folder, config)
    np.save(folder / "tokens.npy", torch.cat(sequences).numpy().astype(np.int32))
    np.save(folder / "lengths.npy", np.array([len(s) for s in sequences], np.int32))
    np.save(folder / "logits.npy", logits.numpy().astype(np.float32))
    np.save(folder / "greedy.npy", greedy.numpy().astype(np.int32))
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name:22s} draw {attempt:2d}  {size / 1e3:5.0f} kB  logits std {logits.std():.2f}  "
          f"weakest mistake: {weakest[1]} {weakest[0]:.2g}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "tests/data/oracle")
    parser.add_argument("--only", default=",".join(CASES), help="cases, comma separated")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        for name in args.only.split(","):
            write_case(args.out / name, name)


if __name__ == "__main__":
    main()
