// What the tests of the kernels share: running once per instruction set, and numbers that are equal to the
// last bit.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <span>
#include <string>

#include "kernels/test_numbers.h"

namespace fovea::kernels {

class KernelSetTest : public testing::TestWithParam<const KernelSet*> {
 protected:
  const KernelSet& set() const { return *GetParam(); }
};

inline std::string name_of_set(const testing::TestParamInfo<const KernelSet*>& info) { return std::string(info.param->name); }

// Declares a fixture whose TEST_Ps run on every instruction set of this machine.
#define FOVEA_ON_EVERY_KERNEL_SET(Fixture)                   \
  class Fixture : public ::fovea::kernels::KernelSetTest {}; \
  INSTANTIATE_TEST_SUITE_P(On, Fixture, testing::ValuesIn(::fovea::kernels::supported_kernel_sets()), ::fovea::kernels::name_of_set)

// Which cases of a long list are run: all, but under a sanitizer, which looks at addresses and not at numbers and takes ten times as
// long, one in seven (prime, so that lists within lists all have their turns).
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline bool is_taken(int number) { return number % 7 == 0; }
#else
inline bool is_taken(int) { return true; }
#endif

inline testing::AssertionResult same_bits(std::span<const float> expected, std::span<const float> found) {
  if (expected.size() != found.size()) {
    return testing::AssertionFailure() << expected.size() << " numbers expected, found " << found.size();
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::bit_cast<uint32_t>(expected[i]) != std::bit_cast<uint32_t>(found[i])) {
      return testing::AssertionFailure() << "number " << i << " of " << expected.size() << ": expected " << expected[i] << ", found "
                                         << found[i] << " (difference " << found[i] - expected[i] << ")";
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace fovea::kernels
