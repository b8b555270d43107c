#include "model/families/state_config.h"

namespace fovea::model {

void check_state(const ConfigView& file, const StateSpec& state, const char* key) {
  if (int64_t{state.inner} * state.state > kLargestSize * int64_t{64} || state.conv_channels() > kLargestSize) {
    file.refuse(key, "makes a state larger than any that is known");
  }
  if (state.conv < 2) file.refuse(key, "asks for a convolution over less than two positions");
  if (state.rank > 0) return;
  if (state.heads == 0 || state.inner % state.heads != 0 || state.heads % state.groups != 0) {
    file.refuse(key, "does not divide into heads and groups");
  }
}

StateSpec gguf_state(const ConfigView& file, bool scalar) {
  StateSpec state;
  state.inner = file.size("ssm.inner_size");
  state.conv = file.size("ssm.conv_kernel");
  state.state = file.size("ssm.state_size");
  const int steps = file.size("ssm.time_step_rank");
  if (scalar) {
    state.heads = steps;
    state.groups = file.size("ssm.group_count");
  } else {
    state.rank = steps;
  }
  check_state(file, state, "ssm.inner_size");
  return state;
}

void gguf_state_names(TensorNames& names, bool scalar) {
  names.state_in = "blk.%d.ssm_in.weight";
  names.conv = "blk.%d.ssm_conv1d.weight";
  names.conv_bias = "blk.%d.ssm_conv1d.bias";
  names.step_bias = "blk.%d.ssm_dt.bias";
  names.decay = "blk.%d.ssm_a";
  names.skip = "blk.%d.ssm_d";
  names.state_out = "blk.%d.ssm_out.weight";
  if (scalar) {
    names.state_norm = "blk.%d.ssm_norm.weight";
    return;
  }
  names.state_projection = "blk.%d.ssm_x.weight";
  names.step = "blk.%d.ssm_dt.weight";
}

void state_names(TensorNames& names, const std::string& block, bool scalar) {
  names.state_in = block + ".in_proj.weight";
  names.conv = block + ".conv1d.weight";
  names.conv_bias = block + ".conv1d.bias";
  names.decay = block + ".A_log";
  names.skip = block + ".D";
  names.state_out = block + ".out_proj.weight";
  names.decay_is_log = true;
  if (scalar) {
    names.step_bias = block + ".dt_bias";
    names.state_norm = block + ".norm.weight";
    return;
  }
  names.state_projection = block + ".x_proj.weight";
  names.step = block + ".dt_proj.weight";
  names.step_bias = block + ".dt_proj.bias";
}

}  // namespace fovea::model
