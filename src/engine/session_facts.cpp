#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "engine/fingerprint.h"
#include "engine/model_state.h"
#include "fovea/error.h"
#include "fovea/session.h"
#include "kernels/kv_layout.h"
#include "kv/formula.h"
#include "kv/session_file.h"
#include "model/forward.h"

namespace fovea {
namespace {

using kernels::kPageTokens;

SessionGroupFacts facts_of(const kv::GroupSpec& group, const kv::SessionGroup& saved, int held) {
  SessionGroupFacts facts;
  facts.layers = group.layers;
  facts.pages = static_cast<int64_t>(saved.pages.size());
  facts.bytes = facts.pages * kv::page_bytes(group);
  facts.first_position = saved.first_page * kPageTokens;
  facts.end_position = held;
  if (group.state_bytes > 0) {
    facts.kind = "state";
    facts.first_position = held;
    return facts;
  }
  facts.kind = group.newest ? "newest" : group.window == kv::kWholePast ? "global" : "local";
  if (group.window != kv::kWholePast) facts.window = group.window;
  facts.codec = name_of(group.layout.codec);
  facts.kv_heads = group.layout.kv_heads;
  facts.head_dim = group.layout.head_dim;
  facts.values_in_keys = group.layout.values_in_key > 0;
  return facts;
}

// Which EngineOptions::kv_newest_tokens keeps these groups of newest tokens beside the others.
int newest_wanted(std::span<const kv::GroupSpec> groups) {
  std::vector<kv::GroupSpec> plain;
  int widest = 0;
  for (const kv::GroupSpec& group : groups) {
    if (group.newest) widest = std::max(widest, group.window);
    else plain.push_back(group);
  }
  for (const int wanted : {EngineOptions::kUsualNewest, 0}) {
    if (kv::session_key(0, kv::with_newest(plain, wanted)).cache == kv::session_key(0, groups).cache) return wanted;
  }
  return widest;
}

// The options that a session was saved with.
std::string codecs_of(const SessionFacts& session) {
  std::string text;
  for (const SessionGroupFacts& group : session.groups) {
    if (group.kind != "state" && group.kind != "newest")
      text += fmt::format("{}--kv-{} {}", text.empty() ? "" : " ", group.kind, group.codec);
  }
  return session.kv_newest_tokens == EngineOptions::kUsualNewest ? text : fmt::format("{} --kv-newest {}", text, session.kv_newest_tokens);
}

}  // namespace

SessionFacts inspect_session(const std::string& path) {
  const kv::SessionReader file(path, kv::Damage::told);
  const kv::SessionState& state = file.state();
  SessionFacts facts;
  facts.path = path;
  facts.model = file.model_name();
  facts.model_fingerprint = file.key().model;
  facts.cache_fingerprint = file.key().cache;
  facts.tokens = static_cast<int>(state.tokens.size());
  facts.held_tokens = state.held;
  facts.note = state.note;
  for (size_t i = 0; i < state.groups.size(); ++i) facts.groups.push_back(facts_of(file.groups()[i], state.groups[i], state.held));
  facts.kv_newest_tokens = newest_wanted(file.groups());
  facts.saves = file.counts().states;
  facts.file_bytes = file.file_bytes();
  facts.needed_bytes = file.counts().needed_bytes;
  facts.superseded_bytes = std::max<int64_t>(0, file.valid_bytes() - facts.needed_bytes);
  facts.torn_bytes = file.file_bytes() - file.valid_bytes();
  facts.damage = file.damage();
  return facts;
}

std::string why_not_continued(const SessionFacts& session, const Model& model, const EngineOptions& options) {
  if (!session.damage.empty()) return session.damage;
  const model::ModelSpec& spec = model.state().spec;
  if (session.model_fingerprint != fingerprint(spec, model.state().weights))
    return "it was saved with another model, or other weights of it";
  const auto groups = model::kv_groups(spec, options);
  if (session.cache_fingerprint != kv::session_key(0, groups).cache)
    return "it was saved with other K/V codecs, or another form of them: " + codecs_of(session);
  if (options.context_tokens > 0 && session.held_tokens > options.context_tokens)
    return fmt::format("its {} tokens are more than the context of {}", session.held_tokens, options.context_tokens);
  return "";
}

}  // namespace fovea
