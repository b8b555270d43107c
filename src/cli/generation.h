// Runs one request and streams its text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/run_report.h"
#include "fovea/engine.h"

namespace fovea::cli {

constexpr int kUntilTheEnd = -1;  // as many tokens as the model likes, or the context takes

struct Generated {
  std::string text;
  std::vector<int32_t> tokens;
  FinishReason finish = FinishReason::none;  // cancelled: Ctrl-C
  RunTimes times;
  LossReport lost;
};

// `on_text` gets the text as it comes, never ending inside a code point. A progress bar stands on stderr
// while the prompt is computed. `request.max_tokens` may be kUntilTheEnd.
Generated generate_text(Engine& engine, const std::shared_ptr<const Model>& model, Request request,
                        const std::function<void(const std::string&)>& on_text);

}  // namespace fovea::cli
