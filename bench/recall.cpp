// How much of what was said far back is still known when sequences forget: sentences with a number, spread over a long text,
// of which the beginning is said again at the end.
//
//   recall MODEL FILE TOKENS BUDGET [POLICY:SINKS ...]
//
// For each policy: how many of the numbers come out digit by digit as the most likely tokens, for sentences in the newest tenth
// of the text, and before. One that is repeated right away (an echo) shows what attention keeps because it was of use.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "fovea/catalogue.h"
#include "fovea/engine.h"
#include "fovea/error.h"

namespace fovea {
namespace {

constexpr int kDepths = 10;
const std::vector<std::string> kPlaces = {"lighthouse", "harbour", "library", "castle"};

struct Needle {
  std::string sentence, number;
};

Needle needle(size_t place) {
  const std::string number = std::to_string(1000 + (place * 7919 + 4271) % 9000);
  return {"The secret number of the " + kPlaces[place] + " is", " " + number};
}

std::vector<int32_t> tokens_of(const Model& model, const std::string& text) { return model.tokenize(text, false); }

void append(std::vector<int32_t>& to, const std::vector<int32_t>& more) { to.insert(to.end(), more.begin(), more.end()); }

// The text with the sentence at a tenth of it (said `times` times), then its beginning, and the number.
struct Question {
  std::vector<int32_t> tokens;
  int answer_tokens;
};
Question question(const Model& model, const std::vector<int32_t>& text, size_t place, int depth, int times) {
  const Needle n = needle(place);
  const auto at = static_cast<ptrdiff_t>(text.size()) * depth / kDepths + 32;
  Question q;
  q.tokens.assign(text.begin(), text.begin() + at);
  for (int i = 0; i < times; ++i) append(q.tokens, tokens_of(model, "\n" + n.sentence + n.number + ".\n"));
  q.tokens.insert(q.tokens.end(), text.begin() + at, text.end());
  append(q.tokens, tokens_of(model, "\n" + n.sentence));
  const std::vector<int32_t> answer = tokens_of(model, n.number);
  append(q.tokens, answer);
  q.answer_tokens = static_cast<int>(answer.size());
  return q;
}

bool answered(Engine& engine, const Question& q) {
  const int length = static_cast<int>(q.tokens.size());
  bool all = true;
  Request request;
  request.prompt = q.tokens;
  request.logits_from = length - q.answer_tokens - 1;
  request.cache = {.keep = KeepLevel::none, .reuse = false};
  request.on_logits = [&](int position, std::span<const float> logits) {
    if (position + 1 >= length) return;
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    all &= best == q.tokens[static_cast<size_t>(position) + 1];
  };
  engine.generate(std::move(request), nullptr);
  return all;
}

std::string row(const std::shared_ptr<const Model>& model, const std::vector<int32_t>& text, const std::string& way, int budget) {
  const size_t colon = way.find(':');
  EngineOptions options;
  options.context_tokens = static_cast<int>(text.size()) + 200;
  options.cache_bytes = 0;
  options.eviction.budget_tokens = budget;
  options.eviction.policy = eviction_policy_from_name(way.substr(0, colon));
  if (colon != std::string::npos) options.eviction.sinks = std::atoi(way.c_str() + colon + 1);
  Engine engine(model, options);
  std::string text_row = fmt::format("{:<18}", way);
  for (const int times : {1, 3}) {
    int near = 0, far = 0;
    for (size_t place = 0; place < kPlaces.size(); ++place) {
      near += answered(engine, question(*model, text, place, kDepths - 1, times));
      for (const int depth : {1, 5}) far += answered(engine, question(*model, text, place, depth, times));
    }
    text_row += fmt::format("{:>7} of {} {:>7} of {}", near, kPlaces.size(), far, 2 * kPlaces.size());
  }
  return text_row + "\n";
}

void run(int argc, char** argv) {
  const auto model = Model::load(resolve_model(argv[1]));
  std::ifstream file(argv[2], std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  std::vector<int32_t> text = model->tokenize(all);
  const auto tokens = static_cast<size_t>(std::atoi(argv[3]));
  if (text.size() < tokens) throw Error("the text is too short", argv[2], "ask for fewer tokens");
  text.resize(tokens);
  std::vector<std::string> ways(argv + 5, argv + argc);
  if (ways.empty()) ways = {"none", "streaming:16", "h2o:16", "scissorhands:16"};
  fmt::print("numbers recalled after {} tokens, budget {}\n{:<18}{:>12}{:>13}{:>13}{:>13}\n", tokens, argv[4], "", "near", "far",
             "near, x3", "far, x3");
  for (const std::string& way : ways) {
    fmt::print("{}", row(model, text, way, std::atoi(argv[4])));
    std::cout.flush();
  }
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "recall MODEL FILE TOKENS BUDGET [POLICY:SINKS ...]\n";
    return 2;
  }
  try {
    fovea::run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "recall: " << error.what() << "\n";
    return 1;
  }
}
