// Attention of a ragged batch over pages, on all threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/compute.h"
#include "kernels/key_turning.h"
#include "kernels/kv_layout.h"

namespace fovea::kernels {

// Consecutive rows of a batch that belong to one sequence: row first_row + i is position first_position + i.
struct SequenceRows {
  int first_row = 0;
  int rows = 0;
  int first_position = 0;
};

struct AttentionShape {
  int q_heads = 0;
  int window = 0;                       // 0: whole past; else the query at i sees j with i - window < j <= i
  float scale = 1;                      // multiplies q.k
  int chunk = 0;                        // 0: none; else the query at i sees j only if j / chunk == i / chunk
  float softcap = 0;                    // 0: none; else scaled scores s become softcap * tanh(s / softcap)
  const float* sinks = nullptr;         // [q_heads]: a score per head that takes part in the softmax and has no value; null: none
  const KeyTurning* turning = nullptr;  // where the layout has keys that are turned as they are read, of as many dimensions
};

// How much rows attended to the pages of their sequence. Whole numbers, so that the sum does not depend on the order of rows,
// on threads, or on how a prompt is cut.
struct AttendedPages {
  enum class Unit : uint8_t {
    share,          // 2^-20 of the softmax of one query head
    above_average,  // query heads of which the page has a larger share than it has of the keys they see
  };
  int64_t* pages = nullptr;  // [pages of the view], added to; null: nobody asks
  Unit unit = Unit::share;
};

// The newest keys of each row in a form of their own, beside narrow ones: the query at i reads keys j with i - tokens < j from
// these pages and older ones from the others. The softmax is one over all; spans of these pages are merged after the others.
struct NewestKeys {
  int tokens = 0;                    // 0: none
  const KvLayout* layout = nullptr;  // heads as those of the others
  std::span<const KvPages> pages;    // one per sequence, of this layer
};

// out[row][head] = sum over the keys j that the row sees of softmax(scale * q.k_j) * v_j. Query head h reads K/V head
// h / (q_heads / kv_heads). Keys and values of the rows themselves must have been stored.
//   queries       [rows][q_heads * head_dim]
//   out           [rows][q_heads * value_dim]
//   pages         one per sequence, of this layer
//   attended      likewise, or empty; REQUIRES it empty, or of null pages, where newest keys lie apart
void attend(Compute& compute, const AttentionShape& shape, const KvLayout& layout, std::span<const SequenceRows> sequences,
            std::span<const KvPages> pages, const float* queries, float* out, std::span<const AttendedPages> attended = {},
            const NewestKeys& newest = {});

}  // namespace fovea::kernels
