// Sessions: what is kept of a sequence, to a file and back.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "fovea/error.h"
#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int end_page(int end_position) { return (end_position + kPageTokens - 1) / kPageTokens; }

// FNV-1a over numbers.
class Fingerprint {
 public:
  void add(int64_t number) {
    for (int byte = 0; byte < 8; ++byte)
      value_ = (value_ ^ ((static_cast<uint64_t>(number) >> (8 * byte)) & 0xff)) * 0x100000001b3u;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace

SessionKey Cache::session_key(uint64_t model) const {
  Fingerprint cache;
  for (const auto& group : groups_) {
    const GroupSpec& spec = group->spec();
    for (const int64_t fact :
         {int64_t{spec.window}, int64_t{spec.layout.kv_heads}, int64_t{spec.layout.head_dim},
          static_cast<int64_t>(spec.layout.codec), page_bytes(spec)}) {
      cache.add(fact);
    }
    for (const int layer : spec.layers) cache.add(layer);
  }
  return {model, cache.value()};
}

std::vector<int64_t> Cache::page_sizes() const {
  std::vector<int64_t> sizes;
  for (const auto& group : groups_) sizes.push_back(group->pool().page_bytes());
  return sizes;
}

void Cache::save(const std::string& path, uint64_t model, std::string_view salt,
                 std::span<const int32_t> tokens, std::string_view note) {
  if (!states_.empty()) {
    throw Error("a model whose layers carry a state cannot be saved yet", path, "run without a session");
  }
  Found found = index_.find(salt, tokens, static_cast<int>(tokens.size()));
  while (found.replay_from >= 0) found = index_.find(salt, tokens, found.replay_from);
  const int held = found.reuse.tokens;
  SessionState state = {tokens, held, note, {}};
  size_t windowed = 0, whole = 0;
  for (const auto& group : groups_) {
    const int first = first_readable(group->spec().window, held) / kPageTokens;
    SessionGroup& pages = state.groups.emplace_back(SessionGroup{first, {}});
    for (int page = first; page < end_page(held); ++page) {
      pages.pages.push_back((group->has_window() ? page_served(found.runs[windowed], page, held)
                                                 : page_on_path(found.match, whole, page, held))
                                .data());
    }
    ++(group->has_window() ? windowed : whole);
  }
  write_session(path, session_key(model), page_sizes(), state);
}

Cache::Restored Cache::restore(const std::string& path, uint64_t model, std::string_view salt) {
  const SessionReader file(path, session_key(model), page_sizes());
  const SessionState& state = file.state();
  if (state.held > options_.context_tokens) {
    throw Error(fmt::format("the session has {} tokens, more than the context of {}", state.held,
                            options_.context_tokens),
                path, "ask for a longer context (-c)");
  }
  Restored restored = {{state.tokens.begin(), state.tokens.end()}, state.held, std::string(state.note)};
  const std::optional<SequenceId> id = create();
  if (!id) throw Error("no sequence is free to restore into", path, "restore before requests run");
  std::vector<int> counts;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const int first = first_readable(groups_[i]->spec().window, state.held) / kPageTokens;
    counts.push_back(end_page(state.held) - first);
    if (state.groups[i].first_page == first &&
        static_cast<int>(state.groups[i].pages.size()) == counts.back())
      continue;
    release(*id);
    throw Error("the session lacks pages that its tokens need", path,
                "delete the file or name another to begin anew");
  }
  size_t asked = 0;
  if (!make_room([&](const Group&) { return counts[asked++ % counts.size()]; })) {
    release(*id);
    throw Error("there is no room for the session", path,
                "restore before requests run, or ask for a larger cache");
  }
  for (size_t i = 0; i < groups_.size(); ++i) {
    PageTable& pages = groups_[i]->begin(static_cast<int>(*id), state.groups[i].first_page);
    for (const std::byte* page : state.groups[i].pages) {
      pages.append(*groups_[i]->pool().take());
      std::memcpy(pages.page(pages.end_page() - 1).data(), page,
                  static_cast<size_t>(groups_[i]->pool().page_bytes()));
    }
  }
  Sequence& sequence = this->at(*id);
  sequence.extent = {state.held, state.held, state.held};
  sequence.has_prompt = true;
  sequence.salt = salt;
  sequence.tokens.assign(state.tokens.begin(), state.tokens.begin() + state.held);
  retire(*id);
  return restored;
}

}  // namespace fovea::kv
