#include "model/tensor_lookup.h"

#include <gtest/gtest.h>

namespace fovea::model {
namespace {

files::TensorTable table_of(const std::vector<std::string>& names) {
  files::TensorTable table;
  for (const std::string& name : names) {
    files::Tensor tensor;
    tensor.name = name;
    table.add(std::move(tensor));
  }
  return table;
}

std::string found(const std::vector<std::string>& names, std::string_view canonical) {
  const files::TensorTable table = table_of(names);
  const files::Tensor* tensor = find_tensor(table, canonical);
  return tensor ? tensor->name : "nothing";
}

TEST(TensorName, HasTheLayerInPlaceOfThePercentD) {
  EXPECT_EQ(tensor_name("blk.%d.attn_q.weight", 17), "blk.17.attn_q.weight");
  EXPECT_EQ(tensor_name("output.weight", 17), "output.weight");
}

TEST(TensorLookup, FindsEverySpellingOfNestedFolders) {
  for (const std::string written : {"model.norm.weight", "language_model.model.norm.weight", "model.language_model.norm.weight",
                                    "model.language_model.model.norm.weight", "norm.weight"}) {
    EXPECT_EQ(found({written, "vision_tower.norm.weight"}, "model.norm.weight"), written);
  }
  for (const std::string written : {"lm_head.weight", "language_model.lm_head.weight"}) {
    EXPECT_EQ(found({written}, "lm_head.weight"), written);
  }
}

TEST(TensorLookup, PrefersTheCanonicalName) {
  EXPECT_EQ(found({"norm.weight", "model.norm.weight"}, "model.norm.weight"), "model.norm.weight");
}

TEST(TensorLookup, TakesNoTensorOfAnotherPart) {
  EXPECT_EQ(found({"vision_tower.model.norm.weight", "model.norm.weight.scale"}, "model.norm.weight"), "nothing");
  EXPECT_EQ(found({"model.token_embd.weight", "language_model.token_embd.weight"}, "token_embd.weight"), "nothing");
}

}  // namespace
}  // namespace fovea::model
