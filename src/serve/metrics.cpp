#include "serve/metrics.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace fovea::serve {
namespace {

constexpr std::array<double, 14> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};  // seconds

}  // namespace

void Metrics::add(const std::string& name, const std::string& labels, double value) {
  const std::lock_guard lock(mutex_);
  values_[name][labels] += value;
}

void Metrics::set(const std::string& name, const std::string& labels, double value) {
  const std::lock_guard lock(mutex_);
  values_[name][labels] = value;
}

void Metrics::forget(const std::string& name_begin, const std::string& label) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, series] : values_) {
    if (name.starts_with(name_begin)) std::erase_if(series, [&](const auto& one) { return one.first.starts_with(label); });
  }
  std::erase_if(values_, [](const auto& one) { return one.second.empty(); });
}

void Metrics::observe(const std::string& name, double seconds) {
  const std::lock_guard lock(mutex_);
  Histogram& histogram = histograms_[name];
  histogram.below.resize(kBounds.size() + 1);
  for (size_t i = 0; i < kBounds.size(); ++i) histogram.below[i] += seconds <= kBounds[i];
  ++histogram.below.back();
  histogram.sum += seconds;
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [name, series] : values_) {
    text += fmt::format("# TYPE {} {}\n", name, name.ends_with("_total") ? "counter" : "gauge");
    for (const auto& [labels, value] : series) {
      text += labels.empty() ? fmt::format("{} {}\n", name, value) : fmt::format("{}{{{}}} {}\n", name, labels, value);
    }
  }
  for (const auto& [name, histogram] : histograms_) {
    text += fmt::format("# TYPE {} histogram\n", name);
    for (size_t i = 0; i < kBounds.size(); ++i) text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], histogram.below[i]);
    text += fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, histogram.below.back(), histogram.sum);
  }
  return text;
}

}  // namespace fovea::serve
