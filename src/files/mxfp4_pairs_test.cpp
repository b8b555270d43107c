#include "files/mxfp4_pairs.h"

#include <gtest/gtest.h>

#include "fovea/error.h"

namespace fovea::files {
namespace {

const std::vector<std::byte> kBytes(4 * 2 * 16);

ByteTensor part(const std::string& name, std::vector<int64_t> shape) {
  int64_t bytes = 1;
  for (const int64_t extent : shape) bytes *= extent;
  return {name, std::move(shape), std::span(kBytes).first(static_cast<size_t>(bytes)), "model.safetensors, tensor " + name};
}

std::string message_of(const std::vector<ByteTensor>& parts) {
  TensorTable tensors;
  try {
    join_mxfp4(parts, tensors);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Mxfp4Pairs, BlocksAndScalesAreOneTensorOfNumbers) {
  TensorTable tensors;
  join_mxfp4({part("a.down_proj_scales", {4, 2}), part("a.down_proj_blocks", {4, 2, 16})}, tensors);
  const Tensor* joined = tensors.find("a.down_proj");
  ASSERT_TRUE(joined && tensors.size() == 1);
  EXPECT_EQ(joined->format, NumberFormat::mxfp4);
  EXPECT_EQ(joined->shape, (std::vector<int64_t>{4, 64}));
  EXPECT_EQ(joined->bytes.size(), 128u);
  EXPECT_EQ(joined->scales.size(), 8u);
}

TEST(Mxfp4Pairs, BytesWithoutAPartnerThatFitsAreRefusedByName) {
  EXPECT_NE(message_of({part("a_blocks", {4, 2, 16})}).find("'a_blocks'"), std::string::npos);
  EXPECT_NE(message_of({part("a_scales", {4, 2})}).find("U8"), std::string::npos);
  EXPECT_NE(message_of({part("mask", {4})}).find("U8"), std::string::npos);
  EXPECT_NE(message_of({part("a_blocks", {4, 2, 8}), part("a_scales", {4, 2})}).find("does not fit"), std::string::npos);
  EXPECT_NE(message_of({part("a_blocks", {4, 2, 16}), part("a_scales", {4, 1})}).find("does not fit"), std::string::npos);
}

}  // namespace
}  // namespace fovea::files
