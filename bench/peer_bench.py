"""Speed of llama.cpp, one round: prefill and decode at depths; or the time to its first token.

Runs in the peer's environment, started by bench/compare. Prints one JSON object, like `fovea bench --json`.
"""
import argparse
import json
import sys
import time

import numpy as np

from llama import Llama


def timed(tokens, work):
    begin = time.perf_counter()
    work()
    return tokens / (time.perf_counter() - begin)


def decode_one_by_one(llama, tokens):
    for token in tokens:
        llama.decode([token])


def measure(args):
    depths = [int(depth) for depth in args.depths.split(",")]
    context = -(-(max(depths) + max(args.prompt, args.tokens) + 1) // 256) * 256
    llama = Llama(args.model, context, args.threads, args.flash == "on")
    tokens = np.random.default_rng(0).integers(1000, min(30000, llama.vocabulary_size), size=context)
    llama.prefill(tokens[:args.prompt or 1])  # the first run touches weights and buffers
    decode_one_by_one(llama, tokens[:2])
    results = []
    for depth in depths:
        llama.clear()
        llama.prefill(tokens[:depth])
        saved = llama.save()
        for phase, count, work in (("prefill", args.prompt, llama.prefill),
                                   ("decode", args.tokens, lambda some: decode_one_by_one(llama, some))):
            if count == 0:
                continue
            llama.restore(saved)
            speed = timed(count, lambda: work(tokens[depth:depth + count]))
            results.append({"phase": phase, "tokens": count, "depth": depth, "tokens_per_s": [speed]})
    print(json.dumps({"threads": args.threads, "flash": args.flash, "results": results}))


def first_token(args):
    print("ready", file=sys.stderr, flush=True)  # from here on the time counts, Python itself is not the peer's fault
    llama = Llama(args.model, 512, args.threads)
    llama.prefill(llama.tokenize(args.first_token))
    sys.stdout.buffer.write(llama.piece(llama.logits(1)[0].argmax()) or b" ")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--tokens", type=int, default=128)
    parser.add_argument("-d", "--depths", default="0")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--flash", choices=["on", "off"], default="on")
    parser.add_argument("--first-token", metavar="PROMPT")
    args = parser.parse_args()
    first_token(args) if args.first_token else measure(args)


if __name__ == "__main__":
    main()
