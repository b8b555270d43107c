// Facts of a spec -> keys of a GGUF: the way back of decoder.h, rope_config.h, windows.h and state_config.h.
//
// A key is written only where llama.cpp reads it for the architecture. What the readers of this room make of the keys is compared
// with the spec they were written from (conversion/same_facts.h), so that a fact without a key is found.
#pragma once

#include <string>
#include <vector>

#include "model/families/config_view.h"
#include "model/gguf_outline.h"
#include "model/rope.h"
#include "model/spec.h"

namespace fovea::model {

class GgufKeys {
 public:
  // Layers, width, context, vocabulary and the norms' epsilon, which every architecture has.
  GgufKeys(std::string architecture, const ModelSpec& spec);

  void count(const std::string& name, int value);
  void per_layer(const std::string& name, const std::vector<int>& values);  // one number where all are the same
  void number(const std::string& name, float value);
  void flag(const std::string& name, bool value);
  void text(const std::string& name, const std::string& value);
  void tensor(const std::string& name, std::vector<float> values);

  // dense_width: of layers whose feed-forward is experts.
  void heads();
  void widths(int dense_width);
  void experts(const ExpertsSpec& experts);
  void rope(const Rope& rope, const RopeScaling& scaling);
  // period: what readers assume where the pattern is not written; 0: nothing.
  void windows(int period);
  void state(const StateSpec& state);

  GgufOutline take() { return std::move(outline_); }

 private:
  void add(const std::string& name, files::GgufValue value);
  void yarn(const RopeScaling& scaling);

  const ModelSpec& spec_;
  GgufOutline outline_;
};

// A decoder with one rope, dense or of experts, without windows: all that many families need.
GgufKeys plain_keys(const char* architecture, const ConfigView& config, const ModelSpec& spec);

}  // namespace fovea::model
