// Checks of option values, applied while the arguments are parsed.
#pragma once

#include <CLI/CLI.hpp>

namespace fovea::cli {

// Whole numbers and finite numbers in [low, high]. NaN is in no range.
CLI::Validator whole_number(long long low, long long high);
CLI::Validator number(double low, double high);
CLI::Validator number_above(double low, double high);  // (low, high]
CLI::Validator kv_codecs();

}  // namespace fovea::cli
