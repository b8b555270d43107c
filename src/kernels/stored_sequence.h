// What the tests of attention read: pages of one sequence, and how its keys are turned as they are read.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "kernels/attention.h"
#include "kernels/decoded_kv.h"
#include "kernels/key_turning.h"
#include "kernels/test_numbers.h"

namespace fovea::kernels {

inline const std::vector<KvCodecs> kAllCodecs = {KvCodec::f32,
                                                 KvCodec::f16,
                                                 KvCodec::bf16,
                                                 KvCodec::fp8,
                                                 KvCodec::int8,
                                                 KvCodec::int4,
                                                 KvCodec::tq4,
                                                 KvCodec::tq3,
                                                 KvCodec::tq2,
                                                 {KvCodec::int8, KvCodec::int4},
                                                 {KvCodec::tq2, KvCodec::f32},
                                                 {KvCodec::f16, KvCodec::tq3},
                                                 {KvCodec::f32, KvCodec::bf16},
                                                 {KvCodec::fp8, KvCodec::tq2}};

// How keys of `dims` dimensions are turned.
class Turning {
 public:
  Turning(int dims, RandomNumbers& random) : weights_(random.floats(static_cast<size_t>(dims))) {
    for (int k = 0; k < dims / 2; ++k) frequencies_.push_back(std::pow(1e5, -2.0 * k / dims));
    tables_.resize(KeyTurning::floats(dims / 2));
    KeyTurning::fill(frequencies_, 1, tables_.data());
  }
  KeyTurning view() const { return {static_cast<int>(frequencies_.size()), weights_.data(), tables_.data()}; }
  // The definition, in double.
  void turn(int position, std::vector<double>& key) const {
    for (size_t k = 0; k < frequencies_.size(); ++k) {
      const double x = key[2 * k] * static_cast<double>(weights_[2 * k]), y = key[2 * k + 1] * static_cast<double>(weights_[2 * k + 1]);
      const double angle = position * frequencies_[k];
      key[2 * k] = x * std::cos(angle) - y * std::sin(angle);
      key[2 * k + 1] = y * std::cos(angle) + x * std::sin(angle);
    }
  }

 private:
  std::vector<double> frequencies_;
  std::vector<float> weights_, tables_;
};

// The pages of one sequence, each in memory of its exact size, and the keys and values that were put into
// them.
class StoredSequence {
 public:
  StoredSequence(const KernelSet& set, const KvLayout& layout, int first_page, int tokens, RandomNumbers& random)
      : layout_(layout), first_page_(first_page), tokens_(tokens) {
    for (int page = first_page; page * kPageTokens < tokens; ++page) {
      pages_.emplace_back(kLayerOffset + layout.slice_bytes());
    }
    for (auto& page : pages_) pointers_.push_back(page.data());
    const auto width = static_cast<size_t>(layout.kv_heads * layout.head_dim);
    for (int position = first_page * kPageTokens; position < tokens; ++position) {
      const std::vector<float> key = random.floats(width), value = random.floats(width);
      set.store_kv(layout, view().slice(position / kPageTokens), position % kPageTokens, key.data(), value.data());
    }
    for (size_t page = 0; page < pages_.size(); ++page) stand_at_.push_back(kPageTokens * random.integer(0, 1 << 16));
    pages_move_together_ = random.integer(0, 2) == 0;
  }

  KvPages view() const {
    return {pointers_.data(),
            first_page_,
            static_cast<int>(pages_.size()),
            kLayerOffset,
            0,
            (5 + (1 << 16)) * kPageTokens,
            pages_move_together_ ? nullptr : stand_at_.data()};
  }
  int tokens() const { return tokens_; }
  const std::vector<std::vector<std::byte>>& bytes() const { return pages_; }
  // As stored.
  const std::vector<double>& key(int position, int head) const {
    std::vector<double>& key = decoded_[{position, head, 0}];
    if (key.empty()) key = decoded_key(layout_, view().slice(position / kPageTokens), head, position % kPageTokens);
    return key;
  }
  const std::vector<double>& value(int position, int head) const {
    if (!layout_.own_values()) return key(position, head);
    std::vector<double>& value = decoded_[{position, head, 1}];
    if (value.empty()) value = decoded_value(layout_, view().slice(position / kPageTokens), head, position % kPageTokens);
    return value;
  }
  int position_of(int place) const { return view().position_of(place / kPageTokens) + place % kPageTokens; }

 private:
  static constexpr size_t kLayerOffset = 64;  // another layer's slice stands before this one's

  KvLayout layout_;
  int first_page_, tokens_;
  std::vector<std::vector<std::byte>> pages_;
  std::vector<std::byte*> pointers_;
  std::vector<int32_t> stand_at_;  // where keys are turned to, if not all by the same
  bool pages_move_together_ = true;
  mutable std::map<std::array<int, 3>, std::vector<double>> decoded_;  // by position, head, and whether it is a value
};

}  // namespace fovea::kernels
