#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eval/log_softmax.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"
#include "sampling/counter_random.h"

namespace fovea {
namespace {

constexpr uint64_t kSeed = 20250428;  // any fixed number: every run asks for the same notes
constexpr std::array<std::string_view, 16> kColours = {"red",    "blue",  "green", "white",  "black",  "brown", "grey",   "golden",
                                                       "silver", "amber", "pink",  "purple", "orange", "pale",  "bright", "dark"};
constexpr std::array<std::string_view, 16> kAnimals = {"fox",  "bear", "horse", "eagle", "wolf",  "hare",  "swan", "otter",
                                                       "lynx", "crow", "trout", "mouse", "tiger", "goose", "seal", "toad"};
constexpr int kMostNotes = static_cast<int>(kColours.size() * kAnimals.size());

// Number i: its question, and the text with which it is answered.
struct Note {
  std::string question, answer;
  explicit Note(int i) {
    const auto n = static_cast<size_t>(i) * 37 % kMostNotes;  // 37 and 256 have no common factor: no two are alike
    const int code = 1000 + static_cast<int>(9000 * sampling::uniform_at(kSeed, static_cast<uint64_t>(i)));
    question = fmt::format("\nThe code of the {} {} is", kColours[n / kAnimals.size()], kAnimals[n % kAnimals.size()]);
    answer = fmt::format(" {}.\n", code);
  }
};

using Tokens = std::vector<int32_t>;

void append(Tokens& tokens, const Tokens& more) { tokens.insert(tokens.end(), more.begin(), more.end()); }

// `context` tokens less some room for a question, with all notes at equal distances.
Tokens text_with_notes(const Model& model, const RetrievalJob& job) {
  constexpr int kQuestion = 32;
  const int notes = job.bands * job.notes_per_band;
  const Tokens filler = model.tokenize(job.text);
  Tokens text;
  size_t used = 0;
  for (int i = 0; i < notes; ++i) {
    const Note note(i);
    const Tokens written = model.tokenize(note.question + note.answer, false);
    const int end = static_cast<int>(int64_t{job.context - kQuestion} * (i + 1) / notes);
    const int room = end - static_cast<int>(text.size() + written.size());
    if (room < 0)
      throw Error(fmt::format("{} notes do not fit {} tokens", notes, job.context), "retrieval", "ask for fewer notes or a longer context");
    if (used + static_cast<size_t>(room) > filler.size())
      throw Error("the text is too short", "text", fmt::format("give {} tokens or more", job.context));
    text.insert(text.end(), filler.begin() + static_cast<ptrdiff_t>(used), filler.begin() + static_cast<ptrdiff_t>(used) + room);
    used += static_cast<size_t>(room);
    append(text, written);
  }
  return text;
}

struct Answer {
  bool right = true;
  double log_prob = 0;
};

// The answer is put behind the question: what the model expects at each of its tokens is what it would have said.
Answer ask(Engine& engine, const Tokens& text, const Note& note) {
  Tokens prompt = text;
  append(prompt, engine.model().tokenize(note.question, false));
  const Tokens all = engine.model().tokenize(note.question + note.answer, false);
  const int asked = static_cast<int>(prompt.size()), known = asked - static_cast<int>(text.size());
  if (std::ssize(all) <= known) {
    throw Error("the tokenizer joins a question and its answer", "retrieval", "measure another model");
  }
  constexpr int kBehind = 2;  // full stop and line end say nothing
  append(prompt, {all.begin() + known, all.end() - std::min<ptrdiff_t>(kBehind, std::ssize(all) - known - 1)});
  Answer answer;
  Request request;
  request.logits_from = asked - 1;
  request.on_logits = [&, prompt](int position, std::span<const float> logits) {
    if (position + 1 >= static_cast<int>(prompt.size())) return;
    const int32_t expected = prompt[static_cast<size_t>(position) + 1];
    answer.right &= std::max_element(logits.begin(), logits.end()) - logits.begin() == expected;
    answer.log_prob += eval::log_probability(logits, expected);
  };
  request.prompt = std::move(prompt);
  request.cache.boundaries = {static_cast<int>(text.size())};
  engine.generate(std::move(request), {});
  return answer;
}

}  // namespace

Retrieval measure_retrieval(const std::shared_ptr<const Model>& model, EngineOptions options, const RetrievalJob& job) {
  const int notes = job.bands * job.notes_per_band;
  if (job.bands < 1 || job.notes_per_band < 1 || notes > kMostNotes) {
    throw Error(fmt::format("{} notes", notes), "retrieval", fmt::format("ask for 1 to {}", kMostNotes));
  }
  options.context_tokens = job.context;
  options.sequences = 1;
  Engine engine(model, options);
  const Tokens text = text_with_notes(*model, job);
  Retrieval result = {std::vector<int>(static_cast<size_t>(job.bands)), std::vector<double>(static_cast<size_t>(job.bands))};
  for (int i = 0; i < notes; ++i) {
    if (job.progress && !job.progress("asking", i, notes)) throw Stopped();
    const Answer answer = ask(engine, text, Note(i));
    const auto band = static_cast<size_t>(i / job.notes_per_band);
    result.found[band] += answer.right ? 1 : 0;
    result.log_prob[band] += answer.log_prob / job.notes_per_band;
  }
  return result;
}

}  // namespace fovea
