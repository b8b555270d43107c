// Numbers for Prometheus.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace fovea::serve {

// Counters and gauges by name and labels, and histograms of seconds.
// threads  any
class Metrics {
 public:
  void add(const std::string& name, const std::string& labels, double value);  // labels: `route="x"`; empty: none
  void set(const std::string& name, const std::string& labels, double value);
  void forget(const std::string& name_begin, const std::string& label);  // what set() and add() said under names and labels that begin so
  void observe(const std::string& name, double seconds);
  std::string text() const;  // exposition format 0.0.4

 private:
  struct Histogram {
    std::vector<uint64_t> below;  // per bound, and of all
    double sum = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, double>> values_;
  std::map<std::string, Histogram> histograms_;
};

}  // namespace fovea::serve
