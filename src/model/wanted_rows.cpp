// Rows whose states nobody wants, as most of a prompt's, end where they have left what later tokens read of them.
#include <cstring>

#include "model/step.h"

namespace fovea::model {
namespace {

// The rows that are wanted, each after the one before it.
void move_rows(std::span<const int> wanted, float* rows, int width) {
  const size_t bytes = static_cast<size_t>(width) * sizeof(float);
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::memmove(rows + i * static_cast<size_t>(width), rows + static_cast<size_t>(wanted[i]) * static_cast<size_t>(width), bytes);
  }
}

// Rows that are neighbours in a sequence are one of the picked batch's.
void pick(const Batch& batch, std::span<const int> wanted, Batch& picked) {
  picked.clear();
  size_t s = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const int row = wanted[i];
    while (row >= batch.sequences[s].first_row + batch.sequences[s].rows) ++s;
    const auto at = static_cast<size_t>(row);
    picked.tokens.push_back(batch.tokens[at]);
    picked.positions.push_back(batch.positions[at]);
    if (i > 0 && wanted[i - 1] == row - 1 && row > batch.sequences[s].first_row) {
      ++picked.sequences.back().rows;
      continue;
    }
    picked.sequences.push_back({static_cast<int>(i), 1, batch.sequences[s].first_position + row - batch.sequences[s].first_row});
    picked.ids.push_back(batch.ids[s]);
  }
}

}  // namespace

void pick_rows(const Step& step, std::span<const int> wanted, Batch& picked) {
  Scratch& s = step.s;
  pick(step.batch, wanted, picked);
  move_rows(wanted, s.x.data, s.x.width);
  move_rows(wanted, s.layer_inputs.data, s.layer_inputs.width);
  for (const Rows& stream : s.streams) move_rows(wanted, stream.data, stream.width);
  for (size_t rope = 0; rope < step.spec.ropes.size(); ++rope) {
    move_rows(wanted, s.cosines[rope], step.spec.ropes[rope].dims / 2);
    move_rows(wanted, s.sines[rope], step.spec.ropes[rope].dims / 2);
  }
}

}  // namespace fovea::model
