"""A thin layer over the low-level API of llama_cpp: one model, one context, one sequence unless more are asked for. Runs in the peer's environment."""
import ctypes

import llama_cpp
import numpy as np

CHUNK_TOKENS = 512  # n_batch and n_ubatch


@llama_cpp.llama_log_callback
def _silent(level, text, data):
    pass


class Llama:
    def __init__(self, path, context, threads, flash=True, exact=False, sequences=1, batch_tokens=CHUNK_TOKENS):
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), options)
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = context
        options.n_batch, options.n_ubatch, options.n_seq_max = batch_tokens, CHUNK_TOKENS, sequences
        options.n_threads = options.n_threads_batch = threads
        options.no_perf = True
        if exact:  # keys and values as computed, windows held in full
            options.type_k = options.type_v = 0
            options.swa_full = True
            options.yarn_attn_factor = options.yarn_beta_fast = options.yarn_beta_slow = -1  # as the file says
        options.flash_attn_type = (llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash
                                   else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED)
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp cannot make a context of {context} tokens")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary_size = llama_cpp.llama_vocab_n_tokens(self.vocabulary)
        self.batch = llama_cpp.llama_batch_init(batch_tokens, 0, 1)
        self.clear()

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.depth = 0

    def decode(self, tokens, logits="last"):
        """Runs at most CHUNK_TOKENS tokens; logits are kept of all of them, the last or none."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = int(token)
            batch.pos[i] = self.depth + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = logits == "all" or (logits == "last" and i + 1 == len(tokens))
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise SystemExit(f"llama_decode failed at position {self.depth}")
        llama_cpp.llama_synchronize(self.context)
        self.depth += len(tokens)

    def prefill(self, tokens):
        for begin in range(0, len(tokens), CHUNK_TOKENS):
            last = begin + CHUNK_TOKENS >= len(tokens)
            self.decode(tokens[begin:begin + CHUNK_TOKENS], "last" if last else "none")

    def logits(self, rows):
        """Of the last decode; row i belongs to the i-th token that kept its logits."""
        pointer = llama_cpp.llama_get_logits(self.context)
        return np.ctypeslib.as_array(pointer, shape=(rows, self.vocabulary_size))

    def save(self):
        size = llama_cpp.llama_state_seq_get_size(self.context, 0)
        state = (ctypes.c_uint8 * size)()
        if llama_cpp.llama_state_seq_get_data(self.context, state, size, 0) != size:
            raise SystemExit("llama.cpp cannot save its state")
        return state, self.depth

    def restore(self, saved):
        state, depth = saved
        self.clear()
        if depth and llama_cpp.llama_state_seq_set_data(self.context, state, len(state), 0) == 0:
            raise SystemExit("llama.cpp cannot restore its state")
        self.depth = depth

    def tokenize(self, text):
        data = text.encode()
        tokens = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(self.vocabulary, data, len(data), tokens, len(tokens), True, False)
        if count < 0:
            raise SystemExit("llama.cpp cannot tokenize the text")
        return np.array(tokens[:count], np.int32)

    def piece(self, token):
        buffer = ctypes.create_string_buffer(256)
        count = llama_cpp.llama_token_to_piece(self.vocabulary, int(token), buffer, len(buffer), 0, False)
        return buffer.raw[:max(count, 0)]
