#include "engine/prompt_share.h"

#include <gtest/gtest.h>

namespace fovea {
namespace {

TEST(PromptShare, AStepWithPromptsTakesAFewTimesOneWithout) {
  PromptShare share(512);
  const double step = 0.010, row = 0.0002;
  share.took(1, 0, step);
  for (int i = 0; i < 20; ++i) share.took(1, share.rows(), step + row * share.rows());
  EXPECT_LE(step + row * share.rows(), PromptShare::kStretch * step * 1.01);
  EXPECT_GE(share.rows(), 45);
}

TEST(PromptShare, FollowsRowsThatBecomeDearerWithDepth) {
  PromptShare share(512);
  share.took(1, 0, 0.010);
  double row = 0.0001;
  for (int i = 0; i < 200; ++i, row *= 1.01) share.took(1, share.rows(), 0.010 + row * share.rows());
  EXPECT_LE(0.010 + row * share.rows(), 0.024);
}

TEST(PromptShare, IsNeverNothingAndNeverMoreThanAChunk) {
  PromptShare slow(512), fast(512), narrow(4);
  slow.took(1, 0, 1e-6);
  slow.took(0, 1, 1.0);
  EXPECT_EQ(slow.rows(), PromptShare::kLeastRows);
  fast.took(1, 0, 1.0);
  fast.took(0, 512, 1e-6);
  EXPECT_EQ(fast.rows(), 512);
  EXPECT_EQ(narrow.rows(), 4);
}

}  // namespace
}  // namespace fovea
