#include "cli/plan_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/layer_table.h"
#include "cli/output.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "cli/terminal.h"

namespace fovea::cli {
namespace {

double share(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

std::string window_text(const PlanGroup& group) { return group.window ? count_text(*group.window) : "all"; }

std::string heads_text(const PlanGroup& group) {
  if (group.kv_heads == 0) return "-";
  return fmt::format("{} x {}{}", group.kv_heads, group.head_dim, group.one_stream ? ", K=V" : "");
}

std::string weights_table(const Plan& plan) {
  Table table({{"weights", Table::Align::left}, {"values"}, {"bytes"}, {"read per token"}});
  for (const PlanWeights& part : plan.weights) {
    table.add_row({part.kind, count_text(part.values), memory_text(part.bytes), memory_text(part.read_bytes)});
  }
  return table.text();
}

std::string groups_table(const Plan& plan) {
  Table table({{"keys and values", Table::Align::left},
               {"layers", Table::Align::left},
               {"window"},
               {"heads", Table::Align::left},
               {"codec", Table::Align::left},
               {"per token"},
               {"exact"},
               {"pages"},
               {"chunk"},
               {"all global"}});
  for (const PlanGroup& group : plan.groups) {
    table.add_row({group.kind, ranges_text(group.layers), window_text(group), heads_text(group), group.codec,
                   memory_text(group.bytes_per_token), memory_text(group.bytes), memory_text(group.page_slack_bytes),
                   memory_text(group.chunk_bytes), memory_text(group.all_global_bytes)});
  }
  return table.text();
}

std::string totals_table(const Plan& plan) {
  Table table({{"in memory", Table::Align::left}, {"bytes"}, {"share"}});
  const auto add = [&](const char* part, int64_t bytes) {
    if (bytes > 0) table.add_row({part, memory_text(bytes), share_text(share(bytes, plan.total_bytes))});
  };
  add("weights", plan.weights_bytes);
  add("keys and values", plan.kv_bytes);
  add("  part-filled pages", plan.page_slack_bytes);
  add("  a chunk on its way", plan.chunk_bytes);
  add("  pinned at the shared prefix", plan.pinned_bytes);
  add("kept for requests to come", plan.retained_bytes);
  add("scratch", plan.scratch_bytes);
  add("vocabulary (estimate)", plan.vocabulary_bytes);
  add("program (estimate)", plan.program_bytes);
  table.add_row({"total", memory_text(plan.total_bytes), ""});
  return table.text();
}

std::string sequences_text(const Plan& plan) {
  std::string text = fmt::format("{} tokens", count_text(plan.context_tokens));
  if (plan.sequences > 1) text = fmt::format("{} sequences of {}", plan.sequences, text);
  if (plan.shared_prefix_tokens > 0) text += fmt::format(", of which {} in common", count_text(plan.shared_prefix_tokens));
  return text;
}

}  // namespace

std::string plan_table(const Plan& plan, const std::optional<PlanSpeed>& speed, int64_t memory_bytes) {
  std::string text = fmt::format("{} ({}), {}; weights {}; facts: {}\n\n", plan.model, plan.family, sequences_text(plan),
                                 plan.weights_format, plan.source);
  text += weights_table(plan) + "\n" + groups_table(plan) + "\n" + totals_table(plan) + "\n";
  text += fmt::format("keys and values: {} exact; all global {}: {:.1f} x\n", memory_text(plan.kv_bytes),
                      memory_text(plan.kv_all_global_bytes), 1 / std::max(1e-9, share(plan.kv_bytes, plan.kv_all_global_bytes)));
  text += fmt::format("one more token at this depth reads {}", memory_text(plan.read_bytes));
  if (speed) {
    text += fmt::format(": about {} tokens/s at the {:.1f} GB/s that {} threads read here", rate_text(speed->tokens_per_s),
                        speed->read_gb_per_s, plan.threads);
  }
  text += fmt::format("\nmemory: {} {} {}\n", memory_text(plan.total_bytes),
                      plan.total_bytes <= memory_bytes ? "fits into" : "DOES NOT FIT into", memory_text(memory_bytes));
  if (!plan.not_computed.empty()) text += fmt::format("not run by this engine today: {}\n", fmt::join(plan.not_computed, "; "));
  return text;
}

std::string plan_lines(const Plan& plan, int64_t memory_bytes) {
  std::string groups;
  for (const PlanGroup& group : plan.groups) {
    groups += fmt::format("{}{} {} {}", groups.empty() ? "" : ", ", group.layers.size(), group.kind, memory_text(group.bytes));
  }
  const std::string kept = plan.retained_bytes > 0 ? fmt::format(" (and {} for requests to come)", memory_text(plan.retained_bytes)) : "";
  return fmt::format(
      "plan: {} of {} free: weights {}, keys and values {}{}, scratch {}, the rest {}\n"
      "      {}; layers: {}\n"
      "      all global it would be {}\n",
      memory_text(plan.total_bytes), memory_text(memory_bytes), memory_text(plan.weights_bytes), memory_text(plan.cache_bytes()), kept,
      memory_text(plan.scratch_bytes), memory_text(plan.vocabulary_bytes + plan.program_bytes), sequences_text(plan), groups,
      memory_text(plan.kv_all_global_bytes));
}

void show_plan(const Plan& plan) {
  if (!is_terminal(Stream::error)) return;
  write_error(dimmed(without_controls(plan_lines(plan, free_memory_bytes() + plan.weights_bytes)), Stream::error));
}

std::string kinds_table(const std::vector<AttentionKindRow>& rows) {
  Table table({{"kind", Table::Align::left}, {"what", Table::Align::left}, {"keys and values"}, {"per further token"}, {"read per token"}});
  for (const AttentionKindRow& row : rows) {
    int64_t growth = 0, read = 0;
    for (const PlanGroup& group : row.plan.groups) {
      if (!group.window) growth += group.bytes_per_token;
      read += group.read_bytes;
    }
    table.add_row({row.name, row.what, memory_text(row.plan.kv_bytes), memory_text(growth), memory_text(read)});
  }
  return table.text();
}

std::string changes_table(const std::vector<PlanChange>& changes) {
  Table table({{"change", Table::Align::left}, {"total"}, {"runs today", Table::Align::left}, {"cost", Table::Align::left}});
  for (const PlanChange& change : changes) {
    table.add_row({change.setting, memory_text(change.total_bytes), change.runs ? "yes" : "no", change.cost});
  }
  return table.text();
}

nlohmann::ordered_json json_of(const Plan& plan) { return nlohmann::ordered_json::parse(json_text(plan)); }

nlohmann::ordered_json json_of(const PlanChange& change) {
  return {{"setting", change.setting}, {"total_bytes", change.total_bytes}, {"runs", change.runs}, {"cost", change.cost}};
}

}  // namespace fovea::cli
