// Vectors that every layer gets for each token: looked up, and projected from the embedding.
#include <cmath>

#include "model/step.h"

namespace fovea::model {

void prepare_layer_inputs(const Step& step) {
  const int width = step.spec.layer_input.width, layers = static_cast<int>(step.spec.layers.size());
  const Rows projected = step.rows(step.s.layer_inputs, layers * width), looked_up = step.rows(step.s.layer_lookups, layers * width);
  step.project(step.hidden(step.s.x), step.weights.layer_input_projection, projected);
  kernels::scale(step.compute, 1 / std::sqrt(static_cast<float>(step.spec.hidden)), projected);
  kernels::transform_heads(step.compute, {layers, width, step.weights.layer_input_norm.data(), step.spec.norm_eps}, projected);
  step.compute.for_rows(projected.rows, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int token = step.batch.tokens[static_cast<size_t>(i)];
      const int row = token < step.spec.layer_input.vocabulary ? token : 0;
      step.weights.layer_input_table.read_row(row, {looked_up.row(i), static_cast<size_t>(looked_up.width)});
      step.compute.set().scale(std::sqrt(static_cast<float>(width)), looked_up.width, looked_up.row(i));
      step.compute.set().add(looked_up.row(i), projected.width, projected.row(i));
      step.compute.set().scale(std::sqrt(0.5f), projected.width, projected.row(i));
    }
  });
}

void use_layer_input(const Step& step, int layer, Rows x, Rows out) {
  const LayerInputWeights& w = step.layer(layer).layer_input;
  const int width = step.spec.layer_input.width;
  const Rows gate = step.rows(step.s.gate, width),
             inputs = step.rows(step.s.layer_inputs, width * static_cast<int>(step.spec.layers.size()));
  const Activation activation = step.facts(layer).feed_forward.activation;
  step.project(x, w.gate, gate);
  step.compute.for_rows(gate.rows, 8, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      step.compute.set().gate(activation, gate.row(i), inputs.row(i) + layer * width, width, gate.row(i));
    }
  });
  step.project(gate, w.up, out);
  step.norm(out, w.post_norm, out);
}

}  // namespace fovea::model
