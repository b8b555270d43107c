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

// Pages that a session of `held` tokens has of a group, and where they begin.
struct SessionPages {
  int first = 0, count = 0;
  SessionPages(const GroupSpec& group, int held) {
    if (group.state_bytes > 0) {
      count = held > 0;
    } else {
      first = first_readable(group.window, held) / kPageTokens;
      count = end_page(held) - first;
    }
  }
};

}  // namespace

std::vector<GroupSpec> Cache::group_specs() const {
  std::vector<GroupSpec> specs;
  for (const auto& group : groups_) specs.push_back(group->spec());
  for (const auto& group : contiguous_) specs.push_back(group->spec());
  for (const auto& states : states_) specs.push_back(states->spec());
  return specs;
}

int Cache::save(const std::string& path, const SessionModel& model, std::string_view salt, std::span<const int32_t> tokens,
                std::string_view note, int least_held) {
  if (options_.contiguous) throw Error("nothing is kept that could be saved", path, "run with a paged cache");
  Found found = index_.find(salt, tokens, static_cast<int>(tokens.size()));
  while (found.replay_from >= 0) found = index_.find(salt, tokens, found.replay_from);
  const int held = found.reuse.tokens;
  if (held < least_held) return held;
  SessionState state = {tokens, held, note, {}};
  size_t windowed = 0, whole = 0;
  for (const auto& group : groups_) {
    const int first = first_readable(group->spec().window, held) / kPageTokens;
    SessionGroup& pages = state.groups.emplace_back(SessionGroup{first, {}});
    for (int page = first; page < end_page(held); ++page) {
      pages.pages.push_back(
          (group->has_window() ? page_served(found.runs[windowed], page, held) : page_on_path(found.match, whole, page, held)).data());
    }
    ++(group->has_window() ? windowed : whole);
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    SessionGroup& pages = state.groups.emplace_back();
    if (found.state) pages.pages.push_back(found.state->states[i].data());
  }
  write_session(path, model, group_specs(), state);
  return held;
}

Cache::Restored Cache::restore(const std::string& path, const SessionModel& model, std::string_view salt) {
  const std::vector<GroupSpec> groups = group_specs();
  const SessionReader file(path, session_key(model.fingerprint, groups), groups);
  const SessionState& state = file.state();
  if (state.held > options_.context_tokens) {
    throw Error(fmt::format("the session has {} tokens, more than the context of {}", state.held, options_.context_tokens), path,
                "ask for a longer context (-c)");
  }
  Restored restored = {{state.tokens.begin(), state.tokens.end()}, state.held, std::string(state.note)};
  for (size_t i = 0; i < groups.size(); ++i) {
    const SessionPages needed(groups[i], state.held);
    if (state.groups[i].first_page == needed.first && static_cast<int>(state.groups[i].pages.size()) == needed.count) continue;
    throw Error("the session lacks pages that its tokens need", path, "delete the file or name another to begin anew");
  }
  const std::optional<SequenceId> id = create();
  if (!id) throw Error("no sequence is free to restore into", path, "restore before requests run");
  if (!make_room([&](size_t i) { return SessionPages(groups[i], state.held).count; })) {
    release(*id);
    throw Error("there is no room for the session", path, "restore before requests run, or ask for a larger cache");
  }
  const auto copy_of = [](PagePool& pool, const std::byte* bytes) {
    std::optional<PageRef> page = pool.take();
    std::memcpy(page->data(), bytes, static_cast<size_t>(pool.page_bytes()));
    return std::move(*page);
  };
  const int sequence_index = static_cast<int>(*id);
  for (size_t i = 0; i < groups_.size(); ++i) {
    PageTable& pages = groups_[i]->begin(sequence_index, state.groups[i].first_page);
    for (const std::byte* page : state.groups[i].pages) pages.append(copy_of(groups_[i]->pool(), page));
  }
  for (size_t i = 0; i < states_.size() && state.held > 0; ++i) {
    states_[i]->begin(sequence_index, copy_of(states_[i]->pool(), state.groups[groups_.size() + i].pages.front()));
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
