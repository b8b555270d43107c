// What the cache of known shapes takes at contexts from 1k to 128k: pages beside the formula, resident memory beside
// pages, and layers with windows beside all-global ones.
//
//   memory_table [CODEC [SHAPE]]     default f16, all shapes
//
// Each cell is a process of its own that fills one sequence in chunks and touches every page. What does not fit the memory
// that is free is counted and not touched.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "base/memory_info.h"
#include "fovea/error.h"
#include "kv/cache.h"
#include "kv/formula.h"
#include "planner/cache_plan.h"
#include "planner/known_models.h"
#include "planner/what_if.h"

namespace fovea {
namespace {

constexpr int kChunk = 512;
constexpr int64_t kSpare = int64_t{6} << 30;  // of free memory, left to others
constexpr size_t kTouched = 1024;             // bytes from one that is touched to the next
constexpr double kTolerance = 0.02;
constexpr const char* kModels[] = {"gemma3-270m", "gemma3-1b",  "gemma3-4b",  "gemma3-12b",     "gemma3-27b",
                                   "gemma4-e2b",  "gemma4-e4b", "gemma4-12b", "gemma4-26b-a4b", "gemma4-31b"};
// As the engine stores them too: global layers keep one stream for keys and values.
constexpr const char* kOneStream[] = {"gemma4-12b", "gemma4-26b-a4b", "gemma4-31b"};

struct Cell {
  int64_t exact = 0;          // formula: window entries, no rounding
  int64_t all_global = 0;     // likewise, if every layer saw everything
  int64_t held = 0;           // pages at the end
  int64_t most_rounding = 0;  // a page per group
  int64_t peak = 0;           // pages while the last chunk was written
  int64_t chunk = 0;          // the chunk's own entries
  int64_t pool_resident = 0;  // of pages that were touched
  int64_t grown = 0;          // the process's resident memory; 0: not touched
};

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// The system's pages under those that hold these positions.
void touch(const kv::Cache& cache, kv::SequenceId id, const std::vector<kv::GroupSpec>& groups, int begin, int end) {
  for (const kv::GroupSpec& group : groups) {
    for (const int layer : group.layers) {
      const kernels::KvPages pages = cache.view(id, layer);
      for (int page = begin / kernels::kPageTokens; page <= (end - 1) / kernels::kPageTokens; ++page)
        for (size_t at = 0; at < cache.layout(layer).slice_bytes(); at += kTouched) pages.slice(page)[at] = std::byte{1};
    }
  }
}

Cell measure(const std::vector<kv::GroupSpec>& groups, int context, bool touches) {
  const int64_t before = resident_bytes();
  kv::Cache cache(groups, {.context_tokens = context, .chunk_tokens = kChunk});
  const kv::SequenceId id = *cache.create();
  for (int length = 0; length < context; length += kChunk) {
    if (!cache.reserve(id, kChunk)) throw Error("no room for its own context", "memory_table", "");
    if (touches) touch(cache, id, groups, length, length + kChunk);
    cache.commit(id, kChunk);
  }
  Cell cell;
  for (size_t i = 0; i < groups.size(); ++i) {
    const kv::GroupStats stats = cache.stats()[i];
    kv::GroupSpec global = groups[i];
    global.window = kv::kWholePast;
    cell.exact += kv::exact_bytes(groups[i], context);
    cell.all_global += kv::exact_bytes(global, context);
    cell.held += stats.held_pages * stats.page_bytes;
    cell.peak += stats.peak_held_pages * stats.page_bytes;
    cell.most_rounding += stats.page_bytes;
    cell.chunk += kChunk * kv::page_bytes(groups[i]) / kernels::kPageTokens;
  }
  cell.pool_resident = cache.resident_bytes();
  if (touches) cell.grown = resident_bytes() - before;
  return cell;
}

// In a process of its own, whose memory is nobody else's.
Cell measure_apart(const std::vector<kv::GroupSpec>& groups, int context, bool touches) {
  int ends[2];
  if (pipe(ends) != 0) throw Error("no pipe", "memory_table", "");
  const pid_t child = fork();
  if (child == 0) {
    measure(groups, kChunk, true);  // what any first use touches is not the cache's
    const Cell cell = measure(groups, context, touches);
    _exit(write(ends[1], &cell, sizeof cell) == sizeof cell ? 0 : 1);
  }
  close(ends[1]);
  Cell cell;
  const bool complete = read(ends[0], &cell, sizeof cell) == sizeof cell;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  if (!complete) throw Error("a measurement ended early", "memory_table", "");
  return cell;
}

// True when the cell keeps to the formula.
bool print(const std::string& model, int context, const Cell& cell) {
  const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  const bool pages = cell.held <= cell.exact + cell.most_rounding && cell.peak <= cell.exact + cell.most_rounding + cell.chunk;
  const double share = static_cast<double>(cell.grown) / static_cast<double>(cell.pool_resident);
  const bool resident = cell.grown == 0 || std::abs(share - 1) <= kTolerance;
  std::printf("%-18s %7d %9.1f %9.1f %9.1f %9.1f %9.1f  ", model.c_str(), context, mib(cell.exact), mib(cell.held),
              mib(cell.held - cell.exact), mib(cell.peak), mib(cell.pool_resident));
  if (cell.grown > 0) std::printf("%9.1f %6.3f", mib(cell.grown), share);
  else std::printf("%9s %6s", "untouched", "-");
  std::printf("  %9.1f %6.2f  %s\n", mib(cell.all_global), static_cast<double>(cell.all_global) / static_cast<double>(cell.exact),
              pages && resident ? ""
              : pages           ? "RESIDENT"
                                : "PAGES");
  std::fflush(stdout);
  return pages && resident;
}

int run(const std::string& codec, const std::string& only) {
  PlanOptions plan;
  plan.kv_local = plan.kv_global = codec;
  std::printf(
      "MiB, %s, one sequence, chunks of %d. exact: window entries, no rounding; pages: held at the end; peak: while\n"
      "the last chunk was written; pools: pages that were lent; grown: resident memory of the process\n",
      codec.c_str(), kChunk);
  std::printf("%-18s %7s %9s %9s %9s %9s %9s  %9s %6s  %9s %6s\n", "shape", "context", "exact", "pages", "rounding", "peak", "pools",
              "grown", "share", "all-global", "ratio");
  std::vector<std::pair<std::string, planner::LayerTable>> shapes;
  for (const char* model : kModels) {
    if (!only.empty() && only != model) continue;
    const auto table = planner::known_table(model);
    if (!table) throw Error("no configuration is called so", model, "");
    shapes.emplace_back(model, *table);
    if (std::ranges::count(kOneStream, std::string(model)) > 0)
      shapes.emplace_back(std::string(model) + " K=V", planner::changed(*table, {.k_eq_v = true}));
  }
  int failures = 0;
  for (const auto& [model, table] : shapes) {
    const std::vector<kv::GroupSpec> groups = planner::cache_groups(table.layers, plan);
    for (int context = 1024; context <= 131'072; context *= 2) {
      kv::CacheOptions options{.context_tokens = context, .chunk_tokens = kChunk};
      const bool touches = kv::limit_bytes(groups, options) < available_memory_bytes() - kSpare;
      failures += !print(model, context, measure_apart(groups, context, touches));
    }
  }
  std::printf(failures == 0 ? "every cell keeps to the formula, and resident memory within 2 %%\n" : "%d cells do not\n", failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  try {
    return fovea::run(argc > 1 ? argv[1] : "f16", argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {
    std::cerr << "memory_table: " << error.what() << "\n";
    return 1;
  }
}
