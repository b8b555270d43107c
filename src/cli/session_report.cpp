#include "cli/session_report.h"

#include <fmt/format.h>

#include "cli/layer_table.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace fovea::cli {
namespace {

std::string size_text(int64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

std::string checksums_text(const SessionFacts& session) {
  if (!session.damage.empty()) return "do not fit: " + session.damage;
  if (session.torn_bytes > 0)
    return fmt::format("fit; {} behind the last whole state are what a killed program left", size_text(session.torn_bytes));
  return "fit";
}

std::string positions_text(const SessionGroupFacts& group) {
  if (group.pages == 0) return "-";
  if (group.kind == "state") return fmt::format("after {}", count_text(group.end_position));
  return fmt::format("{} to {}", count_text(group.first_position), count_text(group.end_position - 1));
}

std::string group_table(const SessionFacts& session) {
  using enum Table::Align;
  Table table({{"layers", left}, {"kind"}, {"window"}, {"codec"}, {"kv heads"}, {"head dim"}, {"positions"}, {"pages"}, {"bytes"}});
  for (const SessionGroupFacts& group : session.groups) {
    const bool state = group.kind == "state";
    table.add_row({ranges_text(group.layers), group.kind,
                   group.window ? count_text(*group.window)
                   : state      ? "-"
                                : "all",
                   state ? "-" : group.codec, state ? "-" : count_text(group.kv_heads), state ? "-" : count_text(group.head_dim),
                   positions_text(group), count_text(group.pages), size_text(group.bytes)});
  }
  return table.text();
}

}  // namespace

std::string session_text(const SessionFacts& session, const std::optional<std::string>& misfit) {
  std::string text;
  const auto line = [&](const char* label, const std::string& value) { text += fmt::format("{:<11} {}\n", label, value); };
  line("session", session.path);
  line("model", fmt::format("{} ({:016x})", session.model.empty() ? "without a name" : session.model, session.model_fingerprint));
  if (misfit) line("continues", misfit->empty() ? "yes, with the model that was named" : "no: " + *misfit);
  line("tokens", fmt::format("{}, {} of them held", count_text(session.tokens), count_text(session.held_tokens)));
  line("boundaries", session.held_tokens > 0 ? fmt::format("{}: the next request continues there", count_text(session.held_tokens))
                                             : "none: everything is computed again");
  line("file", fmt::format("{}: {} needed, {} of earlier saves ({} in all)", size_text(session.file_bytes), size_text(session.needed_bytes),
                           size_text(session.superseded_bytes), count_text(session.saves)));
  line("note", session.note.empty() ? "none" : fmt::format("{}", size_text(static_cast<int64_t>(session.note.size()))));
  line("checksums", checksums_text(session));
  return text + "\n" + group_table(session);
}

nlohmann::ordered_json session_json(const SessionFacts& session, const std::optional<std::string>& misfit) {
  nlohmann::ordered_json object = {{"path", session.path},
                                   {"model", session.model},
                                   {"model_fingerprint", fmt::format("{:016x}", session.model_fingerprint)},
                                   {"cache_fingerprint", fmt::format("{:016x}", session.cache_fingerprint)},
                                   {"tokens", session.tokens},
                                   {"held_tokens", session.held_tokens},
                                   {"boundaries", nlohmann::ordered_json::array()},
                                   {"note_bytes", session.note.size()},
                                   {"saves", session.saves},
                                   {"file_bytes", session.file_bytes},
                                   {"needed_bytes", session.needed_bytes},
                                   {"superseded_bytes", session.superseded_bytes},
                                   {"torn_bytes", session.torn_bytes},
                                   {"checksums", session.damage.empty() ? "fit" : "damaged"},
                                   {"damage", session.damage}};
  if (session.held_tokens > 0) object["boundaries"].push_back(session.held_tokens);
  object["continues"] = misfit ? nlohmann::ordered_json(misfit->empty()) : nlohmann::ordered_json();
  object["misfit"] = misfit.value_or("");
  object["groups"] = nlohmann::ordered_json::array();
  for (const SessionGroupFacts& group : session.groups) {
    object["groups"].push_back({{"kind", group.kind},
                                {"window", group.window ? nlohmann::ordered_json(*group.window) : nlohmann::ordered_json()},
                                {"layers", group.layers},
                                {"codec", group.codec},
                                {"kv_heads", group.kv_heads},
                                {"head_dim", group.head_dim},
                                {"values_in_keys", group.values_in_keys},
                                {"first_position", group.first_position},
                                {"end_position", group.end_position},
                                {"pages", group.pages},
                                {"bytes", group.bytes}});
  }
  return object;
}

}  // namespace fovea::cli
