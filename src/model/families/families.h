// The families of models this engine knows: declared here and listed in registry.cpp.
#pragma once

#include "model/registry.h"

namespace fovea::model {

Family cohere2_family();
Family deepseek_v2_family();
Family deepseek_v3_family();
Family gemma2_family();
Family gemma3_family();
Family gemma3n_family();
Family gemma4_family();
Family gpt_oss_family();
Family granite_family();
Family jamba_family();
Family llama_family();
Family llama4_family();
Family mamba_family();
Family mamba2_family();
Family mistral_family();
Family mixtral_family();
Family olmo2_family();
Family olmo3_family();
Family phi3_family();
Family qwen2_family();
Family qwen2_moe_family();
Family qwen3_family();
Family qwen3_moe_family();

}  // namespace fovea::model
