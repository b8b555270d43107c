#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "cli/terminal.h"

namespace fovea::cli {
namespace {

constexpr auto kBetweenDraws = std::chrono::milliseconds(100);
constexpr int kSmallestBar = 8, kLargestBar = 40;

std::string amount_text(int64_t amount, ProgressUnit unit) {
  return unit == ProgressUnit::bytes ? bytes_text(static_cast<double>(amount)) : count_text(amount);
}

std::string speed_text(double per_second, ProgressUnit unit) {
  return unit == ProgressUnit::bytes ? bytes_text(per_second) + "/s" : rate_text(per_second) + " t/s";
}

std::string bar_of(double share, int width) {
  const int inner = width - 2;
  const int filled = std::clamp(static_cast<int>(share * inner), 0, inner);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < inner) bar += '>';
  bar.resize(static_cast<size_t>(inner), ' ');
  return "[" + bar + "]";
}

}  // namespace

std::string progress_line(std::string_view stage, int64_t done, int64_t total, ProgressUnit unit, double seconds, int columns) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0;
  std::string facts = fmt::format("{:3.0f} %  {} of {}", share * 100, amount_text(done, unit), amount_text(total, unit));
  if (seconds > 0 && done > 0) {
    const double rate = static_cast<double>(done) / seconds;
    const std::string speed =
        fmt::format("  {}  {} left", speed_text(rate, unit), seconds_text(static_cast<double>(std::max<int64_t>(total - done, 0)) / rate));
    if (static_cast<int>(text_columns(stage) + 2 + facts.size() + speed.size()) <= columns) facts += speed;
  }
  const int room = columns - static_cast<int>(text_columns(stage) + text_columns(facts)) - 4;
  std::string line(stage);
  if (room >= kSmallestBar) line += "  " + bar_of(share, std::min(room, kLargestBar));
  line += "  " + facts;
  if (static_cast<int>(text_columns(line)) > columns) line.resize(static_cast<size_t>(std::max(columns, 0)));
  return line;
}

ProgressBar::ProgressBar(ProgressUnit unit) : unit_(unit), visible_(is_terminal(Stream::error)) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (drawn_) write_error("\r\x1b[K");
  drawn_ = false;
}

void ProgressBar::update(std::string_view stage, int64_t done, int64_t total) {
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    clear();
    stage_ = stage;
    stage_begin_ = last_draw_ = now;
  }
  if (now - last_draw_ < kBetweenDraws) return;
  last_draw_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - stage_begin_).count();
  const std::string line = progress_line(stage_, done, total, unit_, seconds, terminal_columns() - 1);
  write_error("\r\x1b[K" + without_controls(line));
}

Progress ProgressBar::callback() {
  return [this](std::string_view stage, int64_t done, int64_t total) {
    update(stage, done, total);
    return !interrupted();
  };
}

}  // namespace fovea::cli
