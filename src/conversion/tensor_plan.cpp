#include "conversion/tensor_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "fovea/error.h"
#include "model/tensor_lookup.h"
#include "model/tensor_reader.h"

namespace fovea::conversion {
namespace {

using files::Tensor;
using model::MatrixPart;
using model::ModelSpec;
using model::TensorNames;
using synthesis::Role;
using Name = std::string TensorNames::*;

bool is_plain(NumberFormat format) { return facts(format).block_values == 1; }

MatrixPart from_floats(std::vector<float> values) {
  MatrixPart part = {NumberFormat::f32, 1, static_cast<int64_t>(values.size()), {}, {}};
  part.owned.resize(values.size() * sizeof(float));
  std::memcpy(part.owned.data(), values.data(), part.owned.size());
  return part;
}

// Rows of each head whose pairs are halves apart -> neighbours.
MatrixPart neighbours(const MatrixPart& part, int heads) {
  const int64_t per_head = part.outputs / heads, half = per_head / 2;
  const size_t row = part.row_bytes();
  MatrixPart result = {part.format, part.outputs, part.inputs, {}, std::vector<std::byte>(part.bytes().size())};
  for (int64_t to = 0; to < part.outputs; ++to) {
    const int64_t within = to % per_head, from = to - within + within / 2 + (within % 2) * half;
    std::memcpy(result.owned.data() + static_cast<size_t>(to) * row, part.bytes().data() + static_cast<size_t>(from) * row, row);
  }
  return result;
}

// Rows of a part that need not outlive them.
MatrixPart some_rows(const MatrixPart& part, int64_t first, int64_t count, int64_t step) {
  MatrixPart rows = rows_of(part, first, count, step);
  if (!part.owned.empty() && rows.owned.empty()) rows.owned.assign(rows.stored.begin(), rows.stored.end());
  return rows;
}

class Builder {
 public:
  Builder(const files::ModelFiles& folder, const ModelSpec& from, const TensorNames& to, bool adjacent,
          const std::optional<synthesis::WeightFormats>& formats)
      : folder_(folder), from_(from), names_(from.names), to_(to), adjacent_(adjacent), formats_(formats) {}

  std::vector<PlannedTensor> build() {
    outside_layers();
    for (size_t i = 0; i < from_.layers.size(); ++i) layer(static_cast<int>(i));
    refuse_leftovers();
    return std::move(planned_);
  }

 private:
  // ---- finding and adding

  const Tensor* find(Name role, int layer = 0, int expert = 0) {
    const std::string& pattern = names_.*role;
    if (pattern.empty()) return nullptr;
    const Tensor* tensor = model::find_tensor(folder_.tensors, model::tensor_name(pattern, layer, expert));
    if (tensor) used_.insert(tensor->name);
    return tensor;
  }

  std::string target(Name role, int layer, const Tensor& source) const {
    const std::string& pattern = to_.*role;
    if (!pattern.empty()) return model::tensor_name(pattern, layer);
    throw Error(fmt::format("tensor {} has no place in a GGUF of this kind of model", source.name), source.where,
                "run the folder itself: leaving the tensor out would give wrong results");
  }

  NumberFormat format_of(Role role, int layer, const Tensor& source, int64_t row_values) const {
    if (!formats_ || !is_plain(source.format)) return source.format;
    synthesis::Matrix matrix{.role = role, .layer = std::max(0, layer), .row_values = row_values};
    matrix.makes_logits = role == Role::head || (role == Role::embedding && !has_head_);
    if (layer >= 0) {
      const model::AttentionSpec& attention = from_.layers[static_cast<size_t>(layer)].attention;
      matrix.layers = static_cast<int>(from_.layers.size());
      if (attention.kv_heads > 0) matrix.queries_per_kv = attention.q_heads / attention.kv_heads;
    }
    return synthesis::format_of(formats_->quantization, matrix, formats_->pure);
  }

  PlannedTensor& add(std::string name, NumberFormat format, std::vector<int64_t> shape, const Tensor& source,
                     std::function<MatrixPart(int)> part, int parts = 1) {
    planned_.push_back({{std::move(name), format, std::move(shape)}, parts, std::move(part), 0, {&source}});
    return planned_.back();
  }

  void matrix(Name role, Role use, int layer = -1) {
    const Tensor* source = find(role, layer);
    if (!source) return;
    const int heads = heads_to_permute(role, layer);
    add(target(role, layer, *source), format_of(use, layer, *source, source->shape.back()), source->shape, *source,
        [source, heads](int) { return heads > 0 ? neighbours(model::whole(*source), heads) : model::whole(*source); });
  }

  int heads_to_permute(Name role, int layer) const {
    if (!adjacent_ || layer < 0) return 0;
    const model::AttentionSpec& attention = from_.layers[static_cast<size_t>(layer)].attention;
    if (role == &TensorNames::q || role == &TensorNames::q_bias) return attention.q_heads;
    return role == &TensorNames::k || role == &TensorNames::k_bias ? attention.kv_heads : 0;
  }

  // Numbers that are always f32, in this shape or else the source's.
  PlannedTensor* numbers(Name role, int layer = 0, std::vector<int64_t> shape = {}) {
    const Tensor* source = find(role, layer);
    if (!source) return nullptr;
    if (shape.empty()) shape = source->shape.empty() ? std::vector<int64_t>{1} : source->shape;
    const int heads = heads_to_permute(role, layer);
    return &add(target(role, layer, *source), NumberFormat::f32, std::move(shape), *source, [source, heads](int) {
      MatrixPart row = from_floats(model::floats_of(*source));
      if (heads == 0) return row;
      std::swap(row.outputs, row.inputs);
      row = neighbours(row, heads);
      std::swap(row.outputs, row.inputs);
      return row;
    });
  }

  void norm(Name role, int layer = 0) {
    if (PlannedTensor* planned = numbers(role, layer)) planned->added = from_.norm_weight_offset;
  }

  // ---- roles

  void outside_layers() {
    has_head_ = model::find_tensor(folder_.tensors, names_.head) != nullptr;
    matrix(&TensorNames::embedding, Role::embedding);
    norm(&TensorNames::final_norm);
    matrix(&TensorNames::head, Role::head);
    matrix(&TensorNames::layer_input_table, Role::embedding);
    matrix(&TensorNames::layer_input_projection, Role::gate);
    norm(&TensorNames::layer_input_norm);
    streams(&TensorNames::stream_in);
    streams(&TensorNames::stream_out);
  }

  void layer(int i) {
    constexpr Name kNorms[] = {&TensorNames::attn_norm,
                               &TensorNames::q_norm,
                               &TensorNames::k_norm,
                               &TensorNames::attn_post_norm,
                               &TensorNames::q_narrow_norm,
                               &TensorNames::kv_narrow_norm,
                               &TensorNames::ffn_norm,
                               &TensorNames::ffn_post_norm,
                               &TensorNames::expert_norm,
                               &TensorNames::dense_post_norm,
                               &TensorNames::expert_post_norm,
                               &TensorNames::layer_input_post_norm,
                               &TensorNames::low_rank_norm,
                               &TensorNames::stream_router_norm,
                               &TensorNames::step_norm,
                               &TensorNames::b_norm,
                               &TensorNames::c_norm};
    constexpr Name kNumbers[] = {&TensorNames::q_bias,         &TensorNames::k_bias,         &TensorNames::v_bias,
                                 &TensorNames::attn_out_bias,  &TensorNames::sinks,          &TensorNames::router,
                                 &TensorNames::router_bias,    &TensorNames::choice_bias,    &TensorNames::router_scale,
                                 &TensorNames::expert_scale,   &TensorNames::output_scale,   &TensorNames::stream_router,
                                 &TensorNames::stream_predict, &TensorNames::stream_correct, &TensorNames::stream_scale,
                                 &TensorNames::conv_bias,      &TensorNames::step_bias};
    constexpr std::pair<Name, Role> kMatrices[] = {{&TensorNames::q, Role::q},
                                                   {&TensorNames::k, Role::k},
                                                   {&TensorNames::v, Role::v},
                                                   {&TensorNames::qkv, Role::v},
                                                   {&TensorNames::attn_out, Role::attn_out},
                                                   {&TensorNames::q_narrow, Role::q},
                                                   {&TensorNames::kv_narrow, Role::k},
                                                   {&TensorNames::gate, Role::gate},
                                                   {&TensorNames::up, Role::up},
                                                   {&TensorNames::gate_up, Role::up},
                                                   {&TensorNames::down, Role::down},
                                                   {&TensorNames::shared_gate, Role::gate},
                                                   {&TensorNames::shared_up, Role::up},
                                                   {&TensorNames::shared_down, Role::down},
                                                   {&TensorNames::layer_input_gate, Role::gate},
                                                   {&TensorNames::layer_input_up, Role::up},
                                                   {&TensorNames::low_rank_in, Role::gate},
                                                   {&TensorNames::low_rank_out, Role::up},
                                                   {&TensorNames::state_in, Role::gate},
                                                   {&TensorNames::state_projection, Role::gate},
                                                   {&TensorNames::step, Role::gate},
                                                   {&TensorNames::state_out, Role::up}};
    for (const Name role : kNorms) norm(role, i);
    for (const Name role : kNumbers) numbers(role, i);
    numbers(&TensorNames::dense_weight, i, {from_.hidden});
    for (const auto& [role, use] : kMatrices) matrix(role, use, i);
    latent_heads(i);
    experts(i);
    state(i);
  }

  // One tensor of all heads is taken apart; keys' part is needed by columns.
  void latent_heads(int i) {
    const Tensor* both = find(&TensorNames::kv_up, i);
    if (!both) return;
    const model::AttentionSpec& attention = from_.layers[static_cast<size_t>(i)].attention;
    const model::LatentSpec& l = attention.latent;
    const int64_t per_head = l.plain_dim + l.value_dim;
    add(
        target(&TensorNames::k_up, i, *both), format_of(Role::q, i, *both, l.plain_dim), {attention.q_heads, l.kv_rank, l.plain_dim}, *both,
        [both, per_head, l](int h) { return transposed(rows_of(model::whole(*both), h * per_head, l.plain_dim)); }, attention.q_heads);
    add(
        target(&TensorNames::v_up, i, *both), format_of(Role::q, i, *both, l.kv_rank), {attention.q_heads, l.value_dim, l.kv_rank}, *both,
        [both, per_head, l](int h) { return rows_of(model::whole(*both), h * per_head + l.plain_dim, l.value_dim); }, attention.q_heads);
  }

  // ---- experts

  // The matrix [outputs][inputs] of each expert, from one tensor or many.
  std::function<MatrixPart(int)> each_expert(Name role, int i, int count, int64_t outputs) {
    const bool by_input = names_.experts_by_input, apart = (names_.*role).find("%e") != std::string::npos;
    std::vector<const Tensor*> tensors;
    for (int e = 0; e < (apart ? count : 1); ++e) {
      tensors.push_back(find(role, i, e));
      if (!tensors.back()) {
        throw Error(fmt::format("tensor {} is missing", model::tensor_name(names_.*role, i, e)), folder_.path,
                    "fetch all files of the model again");
      }
    }
    return [=](int e) {
      if (!tensors.front()->scales.empty()) return model::joined_rows(*tensors.front(), e * outputs, outputs);
      if (apart) return model::whole(*tensors[static_cast<size_t>(e)]);
      const MatrixPart all = model::whole(*tensors.front());
      const int64_t rows = by_input ? all.outputs / count : outputs;
      const MatrixPart own = rows_of(all, e * rows, rows);
      return by_input ? transposed(own) : own;
    };
  }

  void expert_matrix(Name from, Name to, Role use, int i, int64_t outputs, int64_t inputs, int64_t stored, int64_t first, int64_t step) {
    const int count = from_.layers[static_cast<size_t>(i)].feed_forward.experts.count;
    const auto expert = each_expert(from, i, count, stored);
    const Tensor& source = *find(from, i);
    PlannedTensor& planned = add(
        target(to, i, source), format_of(use, i, source, inputs), {count, outputs, inputs}, source,
        [=](int e) { return stored == outputs ? expert(e) : some_rows(expert(e), first, outputs, step); }, count);
    for (int e = 1; e < count && (names_.*from).find("%e") != std::string::npos; ++e) planned.sources.push_back(find(from, i, e));
  }

  void experts(int i) {
    const model::ExpertsSpec& e = from_.layers[static_cast<size_t>(i)].feed_forward.experts;
    if (e.count == 0) return;
    const int64_t width = e.width, hidden = from_.hidden;
    if (names_.expert_gate_up.empty()) {
      expert_matrix(&TensorNames::expert_gate, &TensorNames::expert_gate, Role::gate, i, width, hidden, width, 0, 1);
      expert_matrix(&TensorNames::expert_up, &TensorNames::expert_up, Role::up, i, width, hidden, width, 0, 1);
    } else if (!to_.expert_gate_up.empty()) {
      expert_matrix(&TensorNames::expert_gate_up, &TensorNames::expert_gate_up, Role::gate, i, 2 * width, hidden, 2 * width, 0, 1);
    } else {
      const int64_t step = names_.expert_rows_alternate ? 2 : 1, up = names_.expert_rows_alternate ? 1 : width;
      expert_matrix(&TensorNames::expert_gate_up, &TensorNames::expert_gate, Role::gate, i, width, hidden, 2 * width, 0, step);
      expert_matrix(&TensorNames::expert_gate_up, &TensorNames::expert_up, Role::up, i, width, hidden, 2 * width, up, step);
      expert_bias(&TensorNames::expert_gate_bias, i, width, 0, step);
      expert_bias(&TensorNames::expert_up_bias, i, width, up, step);
    }
    expert_matrix(&TensorNames::expert_down, &TensorNames::expert_down, Role::down, i, hidden, width, hidden, 0, 1);
    numbers(&TensorNames::expert_down_bias, i);
  }

  // Every step-th number from `first` on of each expert's 2 * width.
  void expert_bias(Name to, int i, int64_t width, int64_t first, int64_t step) {
    const Tensor* both = find(&TensorNames::expert_gate_up_bias, i);
    if (!both) return;
    const int64_t count = both->shape.front();
    add(target(to, i, *both), NumberFormat::f32, {count, width}, *both, [=](int) {
      const std::vector<float> all = model::floats_of(*both);
      std::vector<float> some;
      for (int64_t e = 0; e < count; ++e) {
        for (int64_t k = 0; k < width; ++k) some.push_back(all[static_cast<size_t>(e * 2 * width + first + k * step)]);
      }
      return from_floats(std::move(some));
    });
  }

  // ---- state spaces and streams

  void state(int i) {
    const model::StateSpec& s = from_.layers[static_cast<size_t>(i)].state;
    if (s.inner == 0) return;
    const bool scalar = s.rank == 0;
    numbers(&TensorNames::conv, i, {s.conv_channels(), s.conv});
    if (scalar) numbers(&TensorNames::state_norm, i, {s.groups, s.inner / s.groups});
    numbers(&TensorNames::skip, i, scalar ? std::vector<int64_t>{s.heads, 1} : std::vector<int64_t>{s.inner});
    PlannedTensor* decay =
        numbers(&TensorNames::decay, i, scalar ? std::vector<int64_t>{s.heads, 1} : std::vector<int64_t>{s.inner, s.state});
    if (!decay || !names_.decay_is_log) return;
    decay->part = [source = decay->sources.front()](int) {
      std::vector<float> values = model::floats_of(*source);
      for (float& value : values) value = -std::exp(value);
      return from_floats(std::move(values));
    };
  }

  void streams(Name role) {
    const int others = from_.streams.count - 1;
    const Tensor* first = find(role);
    if (!first || others < 1) return;
    std::vector<const Tensor*> all;
    for (int e = 0; e < others; ++e) {
      if (const Tensor* tensor = find(role, 0, e)) all.push_back(tensor);
    }
    add(
        target(role, 0, *first), format_of(Role::gate, -1, *first, from_.hidden), {others, from_.hidden, from_.hidden}, *first,
        [all](int e) { return model::whole(*all[static_cast<size_t>(e)]); }, others)
        .sources = all;
  }

  void refuse_leftovers() const {
    for (const auto& [name, tensor] : folder_.tensors.all()) {
      const auto begins = [&, &tensor_name = name](const std::string& prefix) { return tensor_name.starts_with(prefix); };
      if (used_.contains(name) || !model::is_text_tensor(name) || std::any_of(names_.ignored.begin(), names_.ignored.end(), begins))
        continue;
      throw Error(fmt::format("tensor {} has no place in a {} model as this engine computes it", name, from_.family), tensor.where,
                  "use a model without it: leaving it out would give wrong results");
    }
  }

  const files::ModelFiles& folder_;
  const ModelSpec& from_;
  const TensorNames& names_;
  const TensorNames& to_;
  bool adjacent_;
  const std::optional<synthesis::WeightFormats>& formats_;
  bool has_head_ = false;
  std::set<std::string, std::less<>> used_;
  std::vector<PlannedTensor> planned_;
};

}  // namespace

std::vector<PlannedTensor> plan_tensors(const files::ModelFiles& folder, const ModelSpec& from, const TensorNames& to, bool adjacent,
                                        const std::optional<synthesis::WeightFormats>& formats) {
  return Builder(folder, from, to, adjacent, formats).build();
}

}  // namespace fovea::conversion
