"""What llama.cpp computes: perplexity of a text as llama-perplexity counts it, or logits at every position.

Runs in the peer's environment:
    build/peer-venv/bin/python bench/peer_logits.py perplexity -m MODEL.gguf -f FILE -c 512 --chunks 32
    build/peer-venv/bin/python bench/peer_logits.py logits -m MODEL.gguf --tokens T.npy --out L.npy
    build/peer-venv/bin/python bench/peer_logits.py sequences -m MODEL.gguf --tokens T.npy --lengths N.npy --out L.npy
"""
import argparse
import json
import math
import os

import llama_cpp
import numpy as np

from llama import CHUNK_TOKENS, Llama


def rows_of(llama, tokens):
    """(first position, logits of each) for stretches of CHUNK_TOKENS."""
    llama.clear()
    for begin in range(0, len(tokens), CHUNK_TOKENS):
        some = tokens[begin:begin + CHUNK_TOKENS]
        llama.decode(some, "all")
        yield begin, llama.logits(len(some))


def log_probabilities(rows, targets):
    largest = rows.max(axis=1, keepdims=True)
    norm = largest[:, 0] + np.log(np.exp(rows - largest).sum(axis=1, dtype=np.float64))
    return rows[np.arange(len(rows)), targets] - norm


def perplexity(args):
    """The text is tokenized once and cut; each chunk begins with BOS, and only its second half counts."""
    llama = Llama(args.model, args.context, args.threads)
    with open(args.file, encoding="utf-8") as file:
        tokens = llama.tokenize(file.read())
    chunks = len(tokens) // args.context
    chunks = min(chunks, args.chunks or chunks)
    total, counted, first_counted = 0.0, 0, args.context // 2
    for chunk in range(chunks):
        some = tokens[chunk * args.context:(chunk + 1) * args.context].copy()
        if llama_cpp.llama_vocab_get_add_bos(llama.vocabulary):
            some[0] = llama_cpp.llama_vocab_bos(llama.vocabulary)
        for begin, rows in rows_of(llama, some):
            wanted = [i for i in range(len(rows)) if first_counted <= begin + i < args.context - 1]
            if wanted:
                targets = some[begin + wanted[0] + 1:begin + wanted[-1] + 2]
                total -= log_probabilities(rows[wanted[0]:wanted[-1] + 1], targets).sum()
                counted += len(wanted)
    print(json.dumps({"perplexity": math.exp(total / counted), "chunks": chunks, "context": args.context,
                      "tokens": counted}))


def write_logits(args):
    source = np.load(args.tokens)
    tokens = source["tokens"] if hasattr(source, "files") else source
    llama = Llama(args.model, -(-len(tokens) // 256) * 256, args.threads)
    out = np.lib.format.open_memmap(args.out, mode="w+", dtype=np.float32, shape=(len(tokens), llama.vocabulary_size))
    for begin, rows in rows_of(llama, tokens):
        out[begin:begin + len(rows)] = rows
    out.flush()


def write_sequences(args):
    """Each sequence by itself, with float32 keys and values; rows one after the other."""
    tokens, lengths = np.load(args.tokens), np.load(args.lengths)
    llama = Llama(args.model, max(256, -(-int(lengths.max()) // 256) * 256), args.threads, flash=False, exact=True)
    rows, begin = [], 0
    for length in lengths:
        rows += [some.copy() for _, some in rows_of(llama, tokens[begin:begin + length])]
        begin += length
    np.save(args.out, np.concatenate(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, work in ("perplexity", perplexity), ("logits", write_logits), ("sequences", write_sequences):
        command = commands.add_parser(name)
        command.add_argument("-m", "--model", required=True)
        command.add_argument("-t", "--threads", type=int, default=os.cpu_count())
        command.set_defaults(work=work)
        if name == "perplexity":
            command.add_argument("-f", "--file", required=True)
            command.add_argument("-c", "--context", type=int, default=512)
            command.add_argument("--chunks", type=int, default=0, help="0: as many as the text has")
        else:
            command.add_argument("--tokens", required=True, help=".npy of int32, or .npz with `tokens`")
            command.add_argument("--out", required=True)
            if name == "sequences":
                command.add_argument("--lengths", required=True, help=".npy of int32: of the sequences in --tokens")
    args = parser.parse_args()
    args.work(args)


if __name__ == "__main__":
    main()
