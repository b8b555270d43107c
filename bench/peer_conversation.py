"""llama.cpp answering the requests of bench/conversation, through the high-level API that its users use. Runs in the peer's
environment.

    peer_conversation.py MODEL CONTEXT THREADS SETTING

SETTING: plain (one context that keeps what the last request left), windowed (likewise with a cache of the window's size
for local layers, swa_full off), or ram (plain, with LlamaRAMCache of 2 GiB, the default of its server's --cache).
"""
import json
import resource
import sys
import time

import llama_cpp
import llama_cpp.llama as high_level

MOST_MEMORY = 14 << 30  # so that a cache that grows without end stops here and not where it hurts others


class Counting(llama_cpp.Llama):
    """Counts the tokens that go through the model, and keeps those that come out."""
    evaluated, generated = 0, None

    def eval(self, tokens):
        self.evaluated += len(tokens)
        return super().eval(tokens)

    def generate(self, *args, **kwargs):
        for token in super().generate(*args, **kwargs):
            self.generated.append(token)
            yield token


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def answer(llama, asked):
    llama.evaluated, llama.generated = 0, []
    begin = time.perf_counter()
    llama.create_completion(asked["prompt"], max_tokens=asked["answer"], temperature=0, repeat_penalty=1)
    seconds = time.perf_counter() - begin
    # All tokens but the last of the answer go through the model; the others are the prompt's.
    computed = llama.evaluated - max(0, len(llama.generated) - 1)
    return {"tokens": [int(token) for token in llama.generated], "computed": computed, "seconds": seconds,
            "resident_bytes": resident_bytes()}


def main():
    path, context, threads, setting = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    high_level.llama_cpp.llama_token_is_eog = lambda *_: False  # answers are as long as they are asked for
    llama = Counting(path, n_ctx=context, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False,
                     swa_full=False if setting == "windowed" else None)
    if setting == "ram":
        llama.set_cache(llama_cpp.LlamaRAMCache(capacity_bytes=2 << 30))
    print(json.dumps({"resident_bytes": resident_bytes()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(llama, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
