"""Time between tokens of several sequences in llama.cpp, alone and while a long prompt is read beside them.

As its server fills a batch: the newest token of every sequence that generates, then tokens of the prompt up to 2,048, computed in parts
of 512. Sampling and the network are not in it. Runs in the peer's environment, started by bench/serving gap --peer. Prints one JSON object.
"""
import argparse
import json
import time

import llama_cpp
import numpy as np

from llama import Llama

BATCH_TOKENS = 2048


class Sequences:
    """`count` sequences that generate and one that reads a prompt."""

    def __init__(self, args):
        self.llama = Llama(args.model, args.context, args.threads, sequences=args.clients + 1, batch_tokens=BATCH_TOKENS)
        self.count, self.ends = args.clients, [0] * (args.clients + 1)
        self.tokens = np.random.default_rng(0).integers(1000, min(30000, self.llama.vocabulary_size), size=args.prompt)

    def step(self, prompt_tokens):
        batch, rows = self.llama.batch, [(i, self.tokens[self.ends[i]], True) for i in range(self.count)]
        begin, reader = self.ends[self.count], self.count
        rows += [(reader, token, begin + i + 1 == len(self.tokens)) for i, token in enumerate(self.tokens[begin:begin + prompt_tokens])]
        batch.n_tokens = len(rows)
        for i, (sequence, token, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), self.ends[sequence], 1, wanted
            batch.seq_id[i][0] = sequence
            self.ends[sequence] += 1
        started = time.perf_counter()
        if llama_cpp.llama_decode(self.llama.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(self.llama.context)
        return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--prompt", type=int, required=True, help="tokens of the long prompt")
    parser.add_argument("--tokens", type=int, required=True, help="generated alone, by each")
    args = parser.parse_args()
    args.context = (args.clients + 1) * (args.prompt + 256)  # divided among the sequences
    sequences = Sequences(args)
    sequences.step(0)
    alone = [sequences.step(0) for _ in range(args.tokens)]
    beside = []
    while sequences.ends[-1] < args.prompt:
        beside.append(sequences.step(BATCH_TOKENS - args.clients))
    print(json.dumps({"alone_s": alone, "beside_s": beside}))


if __name__ == "__main__":
    main()
