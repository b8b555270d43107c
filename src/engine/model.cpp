#include "fovea/model.h"

#include <fmt/format.h>

#include <future>

#include "base/thread_pool.h"
#include "conversion/quantized_files.h"
#include "conversion/widened_files.h"
#include "engine/model_facts.h"
#include "engine/model_state.h"
#include "engine/vocabulary.h"
#include "files/model_files.h"
#include "fovea/error.h"
#include "kernels/kernel_set.h"
#include "model/registry.h"
#include "planner/model_planner.h"

namespace fovea {
namespace {

struct TextSide {
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
};

TextSide load_text_side(const files::ModelFiles& files) {
  TextSide side;
  side.tokenizer = text::load_tokenizer(files);
  if (side.tokenizer) side.chat_template = text::load_chat_template(files, *side.tokenizer);
  return side;
}

// Reads the spec; where weights are to be in another format, makes the tensors that stand instead of the model's.
std::optional<files::ModelFiles> prepare(const files::ModelFiles& files, const LoadOptions& options, model::ModelSpec& spec) {
  if (options.quant.empty()) {
    spec = model::read_spec(files.metadata, files.container);
    return std::nullopt;
  }
  if (conversion::widens(files, options.quant)) {
    spec = model::read_spec(files.metadata, files.container);
    return conversion::widened_files(files, options.threads, options.progress);
  }
  conversion::QuantizedFiles made = conversion::quantized_files(files, options.quant, options.threads, options.progress);
  spec = std::move(made.spec);
  return std::move(made.files);
}

}  // namespace

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;

ModelFacts inspect_model(const std::string& path) {
  const files::ModelFiles files = files::open_model(path);
  model::ModelSpec spec = model::read_spec(files.metadata, files.container);
  model::complete_spec(spec, files.tensors);
  return model_facts(spec, files);
}

std::shared_ptr<const Model> Model::load(const std::string& path, const LoadOptions& options) {
  auto state = std::make_unique<State>();
  state->kernels = &kernels::choose_kernels(options.kernels);
  const files::ModelFiles files = files::open_model(path);
  const std::optional<files::ModelFiles> quantized = prepare(files, options, state->spec);
  const files::ModelFiles& tensors = quantized ? *quantized : files;
  // The vocabulary is built beside the packing of weights: neither waits for the other.
  std::future<TextSide> text = std::async(std::launch::async, [&] { return load_text_side(files); });
  ThreadPool pool(options.threads > 0 ? options.threads : usable_processors());
  state->weights = model::load_weights(state->spec, tensors, pool, options.progress);
  state->facts = model_facts(state->spec, tensors);
  state->planner = planner::planner_of(state->spec, tensors);
  TextSide side = text.get();
  state->tokenizer = std::move(side.tokenizer);
  state->chat_template = std::move(side.chat_template);
  return std::shared_ptr<const Model>(new Model(std::move(state)));
}

std::shared_ptr<const Model> Model::load_text(const std::string& path) {
  auto state = std::make_unique<State>();
  const files::ModelFiles files = files::open_model(path);
  TextSide side = load_text_side(files);
  state->facts.path = path;
  state->tokenizer = std::move(side.tokenizer);
  state->chat_template = std::move(side.chat_template);
  return std::shared_ptr<const Model>(new Model(std::move(state)));
}

const ModelFacts& Model::facts() const { return state_->facts; }
std::string_view Model::kernels() const { return state_->kernels ? state_->kernels->name : ""; }
int64_t Model::weights_bytes() const { return state_->weights.bytes(); }
int64_t Model::macs_per_token() const { return state_->weights.macs_per_token(state_->spec); }
int64_t Model::stored_macs_per_token() const { return state_->weights.stored_macs_per_token(state_->spec); }
int64_t Model::bytes_per_token() const { return state_->weights.bytes_per_token(state_->spec); }

namespace {

const text::Tokenizer& tokenizer_of(const Model::State& state) {
  if (state.tokenizer) return *state.tokenizer;
  throw Error("has no tokenizer", state.facts.path, "put tokenizer.json or tokenizer.model beside the weights");
}

}  // namespace

bool Model::has_tokenizer() const { return state_->tokenizer.has_value(); }

std::vector<int32_t> Model::tokenize(std::string_view text, bool add_bos, bool parse_special) const {
  return tokenizer_of(*state_).encode(text, {add_bos, parse_special});
}

std::string Model::detokenize(std::span<const int32_t> tokens, bool show_special) const {
  return tokenizer_of(*state_).decode({tokens.begin(), tokens.end()}, show_special);
}

std::string Model::token_bytes(int32_t token) const { return tokenizer_of(*state_).token_bytes(token, true); }

std::optional<int32_t> Model::bos() const { return tokenizer_of(*state_).bos(); }
const std::vector<int32_t>& Model::end_tokens() const { return tokenizer_of(*state_).end_tokens(); }
bool Model::has_chat_template() const { return state_->chat_template.has_value(); }

std::string Model::render_chat(const std::vector<ChatTurn>& turns, std::string_view tools) const {
  if (!state_->chat_template) {
    throw Error("has no chat template: it continues text and was not taught to chat", state_->facts.path,
                "use an instruction-tuned model, or run without -i");
  }
  return state_->chat_template->render(turns, true, tools);
}

ToolCallForm Model::tool_call_form() const { return state_->chat_template ? state_->chat_template->tool_call_form() : ToolCallForm(); }

struct Model::TextStream::State {
  std::shared_ptr<const Model> model;
  text::StreamingDetokenizer detokenizer;
};

Model::TextStream::TextStream(std::shared_ptr<const Model> model, bool show_special) {
  text::StreamingDetokenizer detokenizer(tokenizer_of(model->state()), show_special);
  state_ = std::make_unique<State>(std::move(model), std::move(detokenizer));
}
Model::TextStream::~TextStream() = default;
Model::TextStream::TextStream(TextStream&&) noexcept = default;
Model::TextStream& Model::TextStream::operator=(TextStream&&) noexcept = default;
std::string Model::TextStream::push(int32_t token) { return state_->detokenizer.push(token); }
std::string Model::TextStream::finish() { return state_->detokenizer.finish(); }

}  // namespace fovea
