// Sizes of memory as users write them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace fovea::cli {

// "16GiB", "16 GiB", "1.5G", "800MB", "4096": bytes. K, M, G, T and KiB ... count by 1024, kB ... by 1000.
std::optional<int64_t> memory_size(const std::string& text);

CLI::Validator is_memory_size();

}  // namespace fovea::cli
