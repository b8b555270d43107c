"""The tiny models of make_family_data.py: configurations by family, and what would be wrong about them.

FAMILIES: name -> Family(shape a, shape b, mistakes, window). Shape "a" is spelt as published files are, "b" as transformers 5
does. A mistake is (shapes it applies to, edit of the configuration); the window sets how long the sequences are.
"""
import dataclasses

LOCAL, GLOBAL, CHUNKED = "sliding_attention", "full_attention", "chunked_attention"


@dataclasses.dataclass
class Family:
    a: dict
    b: dict
    mistakes: dict = dataclasses.field(default_factory=dict)
    window: tuple = (None, None)


SMALL = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
ODD = {**SMALL, "vocab_size": 101, "hidden_size": 36, "intermediate_size": 52, "num_attention_heads": 6,
       "num_key_value_heads": 3, "num_hidden_layers": 4}


def default_rope(base, **more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base, **more}}


def types(layers, period, other=LOCAL):
    return [GLOBAL if (i + 1) % period == 0 else other for i in range(layers)]


def put(shapes="ab", **values):
    """Sets keys; a value may be a function of the old one."""
    def edit(config):
        for key, value in values.items():
            config[key] = value(config[key]) if callable(value) else value
    return shapes, edit


def drop(*keys, shapes="ab"):
    return shapes, lambda config: [config.pop(key) for key in keys]


def in_rope(shapes="ab", **values):
    return shapes, lambda config: config["rope_parameters"].update(values)


def window_off(shapes="ab", key="sliding_window"):
    return {"window + 1": put(shapes, **{key: lambda w: w + 1}), "window - 1": put(shapes, **{key: lambda w: w - 1})}


PATTERN_SHIFTED = {"pattern shifted": put("b", layer_types=lambda t: t[1:] + t[:1])}
GEMMA_ROPES = {"rope_parameters": {GLOBAL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
                                   LOCAL: {"rope_type": "default", "rope_theta": 1e4}}}
LONG_ROPE = {"rope_type": "longrope", "short_factor": [1.0, 1.05, 1.2], "long_factor": [1.1, 1.5, 4.0],
             "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 64}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
GEMMA3N_FIXED = {"model_type": "gemma3n_text", "num_hidden_layers": 25, "hidden_size_per_layer_input": 256,
                 "num_kv_shared_layers": 5, "laurel_rank": 64, "altup_num_inputs": 4, "altup_active_idx": 0,
                 "final_logit_softcapping": 30.0, "layer_types": types(25, 5),
                 "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 15}
LLAMA4_FIXED = {"model_type": "llama4_text", "num_hidden_layers": 4, "attention_chunk_size": 8192, "floor_scale": 8192,
                "attn_scale": 0.1, "no_rope_layer_interval": 4, "tie_word_embeddings": False}

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

FAMILIES = {
    "llama": Family(
        {**SMALL, "model_type": "llama", "rope_theta": 1e4, "rope_scaling": None, "rms_norm_eps": 1e-5,
         "tie_word_embeddings": False},
        {**ODD, "model_type": "llama", "head_dim": 10, **default_rope(5000.0, **LLAMA3), "rms_norm_eps": 1e-5,
         "tie_word_embeddings": False},
        {"base": put("a", rope_theta=1e5), "no scaling": in_rope("b", rope_type="default")}),
    "smollm2": Family(
        {**SMALL, "model_type": "llama", "rope_theta": 1e5, "rope_scaling": None, "rms_norm_eps": 1e-5,
         "tie_word_embeddings": True},
        {**ODD, "model_type": "llama", **default_rope(1e5), "rms_norm_eps": 1e-5, "tie_word_embeddings": True},
        {"base": put("a", rope_theta=1e4)}),
    "qwen2": Family(
        {**SMALL, "model_type": "qwen2", "tie_word_embeddings": True, "rope_theta": 1e6, "use_sliding_window": False,
         "sliding_window": 8, "max_window_layers": 2},
        {**ODD, "model_type": "qwen2", "tie_word_embeddings": False, **default_rope(1e6), "use_sliding_window": True,
         "sliding_window": 9, "max_window_layers": 2, "layer_types": [GLOBAL, GLOBAL, LOCAL, LOCAL]},
        {**window_off("b"), "base": put("a", rope_theta=1e4)}, (None, 9)),
    "qwen3": Family(
        {**SMALL, "model_type": "qwen3", "tie_word_embeddings": True, "head_dim": 12, "rope_theta": 1e6, "rope_scaling": None},
        {**ODD, "model_type": "qwen3", "tie_word_embeddings": False, "head_dim": 10, **default_rope(1e6)},
        {"base": put("a", rope_theta=1e4)}),
    "mistral": Family(
        {**SMALL, "model_type": "mistral", "rope_theta": 1e4, "sliding_window": 8, "tie_word_embeddings": False},
        {**ODD, "model_type": "mistral", "head_dim": 10, **default_rope(1e6), "sliding_window": 11,
         "tie_word_embeddings": False},
        window_off(), (8, 11)),
    "ministral": Family(
        {**SMALL, "model_type": "ministral", "num_hidden_layers": 4, "head_dim": 8, "rope_theta": 1e4, "sliding_window": 8,
         "layer_types": [GLOBAL, LOCAL, LOCAL, LOCAL], "tie_word_embeddings": False},
        {**ODD, "model_type": "ministral", "head_dim": 10, **default_rope(1e6), "sliding_window": 11, "num_hidden_layers": 5,
         "layer_types": types(5, 2), "tie_word_embeddings": False},
        {**window_off(), **PATTERN_SHIFTED}, (8, 11)),
    "gemma3": Family(
        {**SMALL, "model_type": "gemma3_text", "num_hidden_layers": 7, "head_dim": 16, "query_pre_attn_scalar": 16,
         "sliding_window": 8, "sliding_window_pattern": 6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
         "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "hidden_activation": "gelu_pytorch_tanh"},
        {**ODD, "model_type": "gemma3_text", "num_hidden_layers": 5, "head_dim": 20, "query_pre_attn_scalar": 25,
         "sliding_window": 11, "layer_types": types(5, 3),
         "rope_parameters": {GLOBAL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                             LOCAL: {"rope_type": "default", "rope_theta": 1e4}}},
        {**window_off(), **PATTERN_SHIFTED, "scale": put(query_pre_attn_scalar=64),
         "no scaling": put("a", rope_scaling=None)}, (8, 11)),
    "gemma2": Family(
        {**SMALL, "model_type": "gemma2", "num_hidden_layers": 4, "head_dim": 16, "query_pre_attn_scalar": 16,
         "sliding_window": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 6.0, "rope_theta": 1e4,
         "hidden_activation": "gelu_pytorch_tanh"},
        {**ODD, "model_type": "gemma2", "head_dim": 20, "query_pre_attn_scalar": 25, "sliding_window": 11,
         "attn_logit_softcapping": 3.0, "final_logit_softcapping": 7.5, **default_rope(1e4),
         "layer_types": [LOCAL, LOCAL, GLOBAL, LOCAL]},
        {**window_off(), **PATTERN_SHIFTED, "no score softcap": put(attn_logit_softcapping=None),
         "no final softcap": put(final_logit_softcapping=None), "scale": put(query_pre_attn_scalar=64)}, (8, 11)),
    "phi3": Family(
        {**SMALL, "model_type": "phi3", "sliding_window": 9, "rope_theta": 1e4, "rope_scaling": None,
         "original_max_position_embeddings": 256, "tie_word_embeddings": False},
        {**ODD, "model_type": "phi3", "hidden_size": 48, "sliding_window": None, "original_max_position_embeddings": 32,
         **default_rope(1e4, partial_rotary_factor=0.75, **LONG_ROPE), "tie_word_embeddings": False},
        {**window_off("a")}, (9, None)),
    "mixtral": Family(
        {**SMALL, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "rope_theta": 1e6,
         "sliding_window": None, "tie_word_embeddings": False},
        {**ODD, "model_type": "mixtral", "num_local_experts": 5, "num_experts_per_tok": 3, **default_rope(1e4),
         "sliding_window": 9, "tie_word_embeddings": False},
        {**window_off("b"), "experts used": put(num_experts_per_tok=lambda k: k - 1)}, (None, 9)),
    "qwen2_moe": Family(
        {**SMALL, **EXPERTS, "model_type": "qwen2_moe", "num_experts": 8, "shared_expert_intermediate_size": 40,
         "norm_topk_prob": False, "decoder_sparse_step": 1, "mlp_only_layers": [], "rope_theta": 1e6, "use_sliding_window": False,
         "tie_word_embeddings": False},
        {**ODD, **EXPERTS, "model_type": "qwen2_moe", "num_experts": 6, "num_experts_per_tok": 3,
         "shared_expert_intermediate_size": 28, "norm_topk_prob": True, "decoder_sparse_step": 2, "mlp_only_layers": [1],
         "use_sliding_window": False, "tie_word_embeddings": False, **default_rope(1e6)},
        {"experts used": put(num_experts_per_tok=lambda k: k - 1), "norm": put(norm_topk_prob=lambda x: not x)}),
    "qwen3_moe": Family(
        {**SMALL, **EXPERTS, "model_type": "qwen3_moe", "head_dim": 12, "num_experts": 8, "norm_topk_prob": True,
         "decoder_sparse_step": 1, "mlp_only_layers": [], "rope_theta": 1e6, "tie_word_embeddings": False},
        {**ODD, **EXPERTS, "model_type": "qwen3_moe", "head_dim": 10, "num_experts": 6, "num_experts_per_tok": 3,
         "norm_topk_prob": False, "decoder_sparse_step": 2, "mlp_only_layers": [1], "tie_word_embeddings": False,
         **default_rope(1e6)},
        {"experts used": put(num_experts_per_tok=lambda k: k - 1), "norm": put(norm_topk_prob=lambda x: not x)}),
    "gpt_oss": Family(
        {**SMALL, "model_type": "gpt_oss", "num_hidden_layers": 4, "head_dim": 16, "sliding_window": 8, "num_local_experts": 6,
         "num_experts_per_tok": 2, "max_position_embeddings": 512, "rope_theta": 150000.0, "intermediate_size": 24,
         "rope_scaling": {**YARN, "truncate": False}, "tie_word_embeddings": False},
        {**ODD, "model_type": "gpt_oss", "head_dim": 20, "sliding_window": 11, "num_local_experts": 5,
         "num_experts_per_tok": 3, "max_position_embeddings": 512, "intermediate_size": 20,
         **default_rope(150000.0, **{**YARN, "truncate": False}), "layer_types": [LOCAL, LOCAL, GLOBAL, LOCAL],
         "tie_word_embeddings": False},
        {**window_off(), **PATTERN_SHIFTED, "experts used": put(num_experts_per_tok=lambda k: k - 1),
         "truncated yarn": in_rope("b", truncate=True)}, (8, 11)),
    "cohere2": Family(
        {**SMALL, "model_type": "cohere2", "num_hidden_layers": 5, "sliding_window": 8, "logit_scale": 0.25,
         "rope_theta": 50000.0, "sliding_window_pattern": 4, "rope_scaling": None},
        {**ODD, "model_type": "cohere2", "sliding_window": 11, "logit_scale": 0.4, **default_rope(1e4),
         "layer_types": [LOCAL, GLOBAL, LOCAL, GLOBAL]},
        {**window_off(), **PATTERN_SHIFTED, "logit scale": put(logit_scale=1.0)}, (8, 11)),
    "gemma4": Family(
        {**SMALL, "model_type": "gemma4_text", "num_hidden_layers": 6, "head_dim": 16, "global_head_dim": 32,
         "num_global_key_value_heads": 1, "sliding_window": 8, "attention_k_eq_v": True, "hidden_size_per_layer_input": 0,
         "vocab_size_per_layer_input": 96, "num_kv_shared_layers": 0, "final_logit_softcapping": 8.0, **GEMMA_ROPES,
         "layer_types": types(6, 3)},
        {**ODD, "model_type": "gemma4_text", "num_hidden_layers": 5, "head_dim": 12, "global_head_dim": 40,
         "num_global_key_value_heads": 2, "sliding_window": 11, "attention_k_eq_v": True, "hidden_size_per_layer_input": 0,
         "vocab_size_per_layer_input": 101, "num_kv_shared_layers": 0, "final_logit_softcapping": 8.0, **GEMMA_ROPES,
         "layer_types": types(4, 4) + [GLOBAL]},
        {**window_off(), "no final softcap": put(final_logit_softcapping=None)}, (8, 11)),
    "gemma4_shared": Family(
        {**SMALL, "model_type": "gemma4_text", "num_hidden_layers": 7, "num_key_value_heads": 1, "head_dim": 16,
         "global_head_dim": 32, "sliding_window": 8, "attention_k_eq_v": False, "hidden_size_per_layer_input": 16,
         "vocab_size_per_layer_input": 96, "num_kv_shared_layers": 3, "use_double_wide_mlp": True,
         "final_logit_softcapping": 8.0, **GEMMA_ROPES, "layer_types": types(6, 3) + [GLOBAL]},
        {**ODD, "model_type": "gemma4_text", "num_hidden_layers": 6, "num_key_value_heads": 2, "head_dim": 12,
         "global_head_dim": 20, "sliding_window": 11, "attention_k_eq_v": False, "hidden_size_per_layer_input": 10,
         "vocab_size_per_layer_input": 101, "num_kv_shared_layers": 2, "use_double_wide_mlp": False,
         "final_logit_softcapping": 8.0, **GEMMA_ROPES, "layer_types": types(6, 2)},
        {**window_off()}, (8, 11)),
    "gemma4_moe": Family(
        {**SMALL, "model_type": "gemma4_text", "num_hidden_layers": 4, "head_dim": 16, "global_head_dim": 32,
         "num_global_key_value_heads": 1, "sliding_window": 8, "attention_k_eq_v": True, "hidden_size_per_layer_input": 0,
         "vocab_size_per_layer_input": 96, "num_kv_shared_layers": 0, "final_logit_softcapping": 8.0, **GEMMA_ROPES,
         "layer_types": types(4, 2), "enable_moe_block": True, "num_experts": 8, "top_k_experts": 2,
         "moe_intermediate_size": 24},
        {**ODD, "model_type": "gemma4_text", "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 12,
         "global_head_dim": 20, "num_global_key_value_heads": 1, "sliding_window": 11, "attention_k_eq_v": True,
         "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 101, "num_kv_shared_layers": 0,
         "final_logit_softcapping": 8.0, **GEMMA_ROPES, "layer_types": types(3, 3), "enable_moe_block": True,
         "num_experts": 7, "top_k_experts": 3, "moe_intermediate_size": 28},
        {**window_off(), "experts used": put(top_k_experts=lambda k: k - 1)}, (8, 11)),
    "gemma3n": Family(
        {**SMALL, "model_type": "gemma3n_text", "num_hidden_layers": 6, "head_dim": 16, "sliding_window": 8,
         "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 90, "num_kv_shared_layers": 2, "laurel_rank": 8,
         "altup_num_inputs": 4, "altup_active_idx": 0, "activation_sparsity_pattern": [0.9, 0.9, 0.0, 0.0, 0.0, 0.0],
         "final_logit_softcapping": 8.0, "layer_types": types(6, 2), "rope_theta": 1e6, "rope_local_base_freq": 1e4},
        {**ODD, "model_type": "gemma3n_text", "num_hidden_layers": 6, "num_key_value_heads": 2, "head_dim": 10,
         "sliding_window": 11, "hidden_size_per_layer_input": 10, "vocab_size_per_layer_input": 101,
         "num_kv_shared_layers": 3, "laurel_rank": 5, "altup_num_inputs": 3, "altup_active_idx": 0,
         "activation_sparsity_pattern": [0.8, 0.0, 0.7, 0.0, 0.0, 0.0], "final_logit_softcapping": 8.0,
         "layer_types": types(6, 3),
         "rope_parameters": {GLOBAL: {"rope_type": "default", "rope_theta": 1e6},
                             LOCAL: {"rope_type": "default", "rope_theta": 1e4}}},
        {**window_off(), "dense": put(activation_sparsity_pattern=[0.0] * 6)}, (8, 11)),
    # With what readers of GGUF fix: the sizes of streams, branch and vectors, 20 layers of keys and values, 10 sparse ones.
    "gemma3n_gguf": Family(
        {**SMALL, **GEMMA3N_FIXED, "intermediate_size": 96, "head_dim": 16, "sliding_window": 8, "vocab_size_per_layer_input": 96,
         "rope_theta": 1e6, "rope_local_base_freq": 1e4},
        {**ODD, **GEMMA3N_FIXED, "intermediate_size": 104, "num_key_value_heads": 2, "head_dim": 10, "sliding_window": 11,
         "vocab_size_per_layer_input": 101,
         "rope_parameters": {GLOBAL: {"rope_type": "default", "rope_theta": 1e6},
                             LOCAL: {"rope_type": "default", "rope_theta": 1e4}}},
        {**window_off(), "dense": put(activation_sparsity_pattern=[0.0] * 25)}, (8, 11)),
    "llama4": Family(
        {**SMALL, "model_type": "llama4_text", "num_hidden_layers": 4, "head_dim": 8, "intermediate_size": 24,
         "intermediate_size_mlp": 48, "num_experts_per_tok": 1, "num_local_experts": 4, "interleave_moe_layer_step": 2,
         "no_rope_layer_interval": 4, "attention_chunk_size": 8, "floor_scale": 16, "attn_scale": 0.4, "rope_theta": 500000.0,
         "rope_scaling": None, "tie_word_embeddings": False},
        {**ODD, "model_type": "llama4_text", "head_dim": 10, "intermediate_size": 20, "intermediate_size_mlp": 40,
         "num_experts_per_tok": 2, "num_local_experts": 5, "interleave_moe_layer_step": 1, "no_rope_layer_interval": 3,
         "attention_chunk_size": 11, "floor_scale": 12, "attn_scale": 0.4, **default_rope(500000.0),
         "tie_word_embeddings": False},
        {"chunk + 1": put(attention_chunk_size=lambda w: w + 1), "no temperature": put(attn_temperature_tuning=False),
         "no norm": put(use_qk_norm=False)}, (8, 11)),
    "llama4_gguf": Family(  # likewise: chunks of 8,192 and when queries are warmed
        {**SMALL, **LLAMA4_FIXED, "head_dim": 8, "intermediate_size": 24, "intermediate_size_mlp": 48, "num_experts_per_tok": 1,
         "num_local_experts": 4, "interleave_moe_layer_step": 2, "rope_theta": 500000.0, "rope_scaling": None},
        {**ODD, **LLAMA4_FIXED, "num_hidden_layers": 5, "head_dim": 10, "intermediate_size": 20, "intermediate_size_mlp": 40,
         "num_experts_per_tok": 2, "num_local_experts": 5, "interleave_moe_layer_step": 1, **default_rope(500000.0)},
        {"no norm": put(use_qk_norm=False)}),
    "deepseek_v2": Family(
        {**SMALL, "model_type": "deepseek_v2", "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_shared_experts": 2,
         "n_routed_experts": 8, "num_experts_per_tok": 3, "kv_lora_rank": 24, "q_lora_rank": None, "qk_rope_head_dim": 8,
         "qk_nope_head_dim": 12, "v_head_dim": 10, "first_k_dense_replace": 1, "topk_method": "greedy", "rope_theta": 1e4,
         "routed_scaling_factor": 1.0, "norm_topk_prob": False, "rope_scaling": None, "tie_word_embeddings": False},
        {**ODD, "model_type": "deepseek_v2", "num_attention_heads": 3, "num_key_value_heads": 3, "moe_intermediate_size": 16,
         "n_shared_experts": 1, "n_routed_experts": 8, "num_experts_per_tok": 3, "kv_lora_rank": 20, "q_lora_rank": 28,
         "qk_rope_head_dim": 6, "qk_nope_head_dim": 14, "v_head_dim": 18, "first_k_dense_replace": 1,
         "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "routed_scaling_factor": 3.0,
         "norm_topk_prob": False, **default_rope(1e4), "tie_word_embeddings": False},
        {"experts used": put(num_experts_per_tok=lambda k: k - 1), "all groups": put("b", topk_group=4)}),
    "deepseek_v3": Family(
        {**SMALL, "model_type": "deepseek_v3", "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_shared_experts": 1,
         "n_routed_experts": 8, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 3, "kv_lora_rank": 24,
         "q_lora_rank": 28, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10, "first_k_dense_replace": 1,
         "routed_scaling_factor": 2.5, "norm_topk_prob": True, "rope_theta": 1e4, "max_position_embeddings": 512,
         "rope_scaling": {"type": "yarn", **{k: v for k, v in YARN.items() if k != "rope_type"}, "mscale": 1.0,
                          "mscale_all_dim": 1.0}, "tie_word_embeddings": False},
        {**ODD, "model_type": "deepseek_v3", "num_attention_heads": 3, "num_key_value_heads": 3, "moe_intermediate_size": 16,
         "n_shared_experts": 2, "n_routed_experts": 9, "n_group": 3, "topk_group": 2, "num_experts_per_tok": 3,
         "kv_lora_rank": 20, "q_lora_rank": 28, "qk_rope_head_dim": 6, "qk_nope_head_dim": 14, "v_head_dim": 18,
         "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": True,
         "max_position_embeddings": 512, "tie_word_embeddings": False,
         **default_rope(1e4, **{**YARN, "mscale": 0.7, "mscale_all_dim": 1.0})},
        {"no norm": put(norm_topk_prob=False), "groups": put(topk_group=lambda g: g - 1),
         "scale": put(routed_scaling_factor=1.0)}),
    "mamba": Family(
        {"model_type": "mamba", "vocab_size": 96, "hidden_size": 32, "state_size": 8, "num_hidden_layers": 3,
         "conv_kernel": 4, "expand": 2, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "time_step_rank": 2},
        {"model_type": "mamba", "vocab_size": 104, "hidden_size": 36, "state_size": 5, "num_hidden_layers": 3,
         "conv_kernel": 3, "expand": 2, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "time_step_rank": 4}),
    "mamba2": Family(
        {"model_type": "mamba2", "vocab_size": 96, "hidden_size": 32, "num_heads": 4, "head_dim": 16, "state_size": 12,
         "n_groups": 2, "num_hidden_layers": 3, "conv_kernel": 4, "expand": 2, "chunk_size": 16,
         "tie_word_embeddings": True},
        {"model_type": "mamba2", "vocab_size": 104, "hidden_size": 36, "num_heads": 9, "head_dim": 8, "state_size": 10,
         "n_groups": 1, "num_hidden_layers": 3, "conv_kernel": 3, "expand": 2, "chunk_size": 11,
         "tie_word_embeddings": False}),
    "jamba": Family(
        {**SMALL, "model_type": "jamba", "num_hidden_layers": 4, "num_experts": 4, "num_experts_per_tok": 2,
         "expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 4, "attn_layer_offset": 2,
         "mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 6, "tie_word_embeddings": False},
        {**ODD, "model_type": "jamba", "num_hidden_layers": 5, "num_experts": 5, "num_experts_per_tok": 2,
         "expert_layer_period": 3, "expert_layer_offset": 0, "attn_layer_period": 3, "attn_layer_offset": 1,
         "mamba_d_state": 6, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 5, "tie_word_embeddings": False},
        {"experts used": put(num_experts_per_tok=1)}),
    "olmo2": Family(
        {**SMALL, "model_type": "olmo2", "rope_theta": 500000.0, "rope_scaling": None, "tie_word_embeddings": False},
        {**ODD, "model_type": "olmo2", **default_rope(1e4), "tie_word_embeddings": False},
        {"base": put("a", rope_theta=1e4)}),
    "olmo3": Family(
        {**SMALL, "model_type": "olmo3", "num_hidden_layers": 5, "max_position_embeddings": 512, "sliding_window": 8,
         "rope_theta": 500000.0, "rope_scaling": {**YARN, "attention_factor": 1.2079441541679836}, "tie_word_embeddings": False},
        {**ODD, "model_type": "olmo3", "sliding_window": 11, "layer_types": [LOCAL, GLOBAL, LOCAL, GLOBAL],
         "rope_parameters": {GLOBAL: {"rope_type": "default", "rope_theta": 1e6}, LOCAL: {"rope_type": "default", "rope_theta": 1e6}},
         "tie_word_embeddings": False},
        {**window_off(), **PATTERN_SHIFTED, "no scaling": put("a", rope_scaling=None)}, (8, 11)),
    "granite": Family(
        {**SMALL, "model_type": "granite", "rope_theta": 1e4, "rope_scaling": None, "tie_word_embeddings": True,
         "embedding_multiplier": 6.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "logits_scaling": 2.0},
        {**ODD, "model_type": "granite", **default_rope(1e5), "tie_word_embeddings": False, "embedding_multiplier": 4.0,
         "attention_multiplier": 0.3, "residual_multiplier": 0.7, "logits_scaling": 0.5},
        {"residual": put(residual_multiplier=1.0), "logits": put(logits_scaling=1.0)}),
}
