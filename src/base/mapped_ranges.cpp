#include "base/mapped_ranges.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "fovea/lost_file.h"

namespace fovea {
namespace {

struct MappedRange {
  std::atomic<uintptr_t> begin{0};  // 0: unused; set last, so that whoever sees it sees the rest
  std::atomic<size_t> size{0};
  std::array<char, 256> path{};  // its end, where it is longer
};

std::array<MappedRange, kMostMappedRanges> g_ranges;
std::mutex g_writers;

// Nothing but write(2) and _exit(2): the process may hold any lock.
void say(const char* text) { static_cast<void>(!write(STDERR_FILENO, text, std::strlen(text))); }

void on_lost_page(int, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const MappedRange& range : g_ranges) {
    const uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin == 0 || at < begin || at - begin >= range.size.load(std::memory_order_relaxed)) continue;
    say("fovea: ");
    say(range.path.data());
    say(": the file was cut short, or could not be read, while it was in use\n  mend: leave the file alone while it is read, and fetch it "
        "again\n");
    _exit(1);
  }
  signal(SIGBUS, SIG_DFL);  // not ours: the access is tried again, and ends as it would have
}

}  // namespace

void note_mapped(const std::byte* begin, size_t size, const std::string& path) {
  const std::lock_guard lock(g_writers);
  const auto range = std::ranges::find_if(g_ranges, [](const MappedRange& r) { return r.begin.load() == 0; });
  if (range == g_ranges.end()) return;
  const size_t length = std::min(path.size(), range->path.size() - 1);
  std::memcpy(range->path.data(), path.data() + path.size() - length, length);
  range->path[length] = 0;
  range->size.store(size, std::memory_order_relaxed);
  range->begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
}

void forget_mapped(const std::byte* begin) {
  const std::lock_guard lock(g_writers);
  const auto range =
      std::ranges::find_if(g_ranges, [&](const MappedRange& r) { return r.begin.load() == reinterpret_cast<uintptr_t>(begin); });
  if (range != g_ranges.end()) range->begin.store(0);
}

void exit_when_a_file_is_cut_short() {
  struct sigaction action = {};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace fovea
