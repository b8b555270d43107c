// Reading one member of a zip archive (a Python wheel is one) as a stream.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace fovea::installation {

// Hands the content of `member` to `sink`, piece by piece in order. Throws Error when the archive is damaged
// or has no such member; pieces seen before that are then worthless.
void read_zip_member(const std::filesystem::path& archive, const std::string& member,
                     const std::function<void(std::span<const std::byte>)>& sink);

}  // namespace fovea::installation
