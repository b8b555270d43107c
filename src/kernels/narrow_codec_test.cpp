// What narrow codecs keep of a vector: every instruction set stores the bytes of the specification, and these are as close to the vector
// as the codec can be, whatever it is like.
#include "kernels/narrow_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/decoded_kv.h"
#include "kernels/kernel_tests.h"

namespace fovea::kernels {
namespace {

constexpr KvCodec kScaled[] = {KvCodec::int8, KvCodec::int4, KvCodec::tq4, KvCodec::tq3, KvCodec::tq2};
constexpr KvCodec kNarrow[] = {KvCodec::fp8, KvCodec::int8, KvCodec::int4, KvCodec::tq4, KvCodec::tq3, KvCodec::tq2};
constexpr int kDims[] = {1, 2, 7, 8, 24, 64, 80, 96, 128, 192, 256, 512, 576, 1000, 1023};

double norm_of(const std::vector<double>& x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }

double distance(const std::vector<double>& x, const std::vector<float>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum);
}

TEST(Rotation, KeepsLengthsAndIsUndoneByItsTranspose) {
  for (const int n : kDims) {
    RandomNumbers random(static_cast<uint32_t>(n));
    const std::vector<float> numbers = random.floats(static_cast<size_t>(n));
    const std::vector<double> x(numbers.begin(), numbers.end());
    const auto matrix = rotation_matrix(n);
    std::vector<double> y;
    for (const auto& row : matrix) y.push_back(std::inner_product(row.begin(), row.end(), x.begin(), 0.0));
    EXPECT_NEAR(norm_of(y), norm_of(x), 1e-9) << n;
    EXPECT_LT(distance(rotated_back(y), numbers), 1e-6) << n;
  }
}

// Each level is the mean of what becomes it, each bound halfway between levels.
TEST(Codebooks, AreTheBestOfANormalDistribution) {
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); };
  const auto below = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  const double infinity = std::numeric_limits<double>::infinity();
  for (const KvLevels* book : {&kNormal4, &kNormal8, &kNormal16}) {
    for (int i = 0; i < book->levels; ++i) {
      const auto at = static_cast<size_t>(i);
      const double low = i == 0 ? -infinity : book->bounds[at - 1], high = i + 1 == book->levels ? infinity : book->bounds[at];
      const double mean = (density(low) - density(high)) / (below(high) - below(low));
      EXPECT_NEAR(book->values[at], mean, 0.004 * std::max(1.0, std::fabs(mean))) << book->levels << " level " << i;
      if (i + 1 == book->levels) continue;
      EXPECT_NEAR(book->bounds[at], (book->values[at] + book->values[at + 1]) / 2, 0.006);
    }
  }
}

FOVEA_ON_EVERY_KERNEL_SET(NarrowCodec);

struct Stored {
  KvLayout layout;
  std::vector<std::byte> slice;
  explicit Stored(const KvLayout& l) : layout(l), slice(l.slice_bytes()) {}
  void put(const KernelSet& set, int slot, const std::vector<float>& key, const std::vector<float>& value) {
    set.store_kv(layout, slice.data(), slot, key.data(), value.data());
  }
  std::vector<double> key(int slot) const { return decoded_key(layout, slice.data(), 0, slot); }
  std::vector<double> value(int slot) const { return decoded_value(layout, slice.data(), 0, slot); }
};

// Rotated vectors are close to normally distributed, so the error is what the codebook makes of such numbers.
TEST_P(NarrowCodec, KeepsAnyVectorAsCloselyAsItsBitsAllow) {
  const auto most = [](KvCodec codec) {  // mean relative error; single vectors may have twice as much
    switch (codec) {
      case KvCodec::fp8:
        return 0.03;
      case KvCodec::int8:
        return 0.009;
      case KvCodec::int4:
        return 0.14;
      case KvCodec::tq4:
        return 0.10;
      case KvCodec::tq3:
        return 0.19;
      default:
        return 0.37;
    }
  };
  for (const KvCodec codec : kNarrow) {
    for (const int dim : {64, 96, 128, 256, 576}) {
      RandomNumbers random(31);
      const KvLayout layout = {codec, 1, dim};
      double key_error = 0, value_error = 0;
      constexpr int kVectors = 48;
      for (int i = 0; i < kVectors; ++i) {
        std::vector<float> vectors[2] = {random.floats(static_cast<size_t>(dim)), random.floats(static_cast<size_t>(dim))};
        for (auto& x : vectors) {
          if (i % 3 == 1) x[static_cast<size_t>(random.integer(0, dim))] *= 100;  // one dimension far out
          if (i % 3 == 2) {
            for (float& number : x) number = number * number * number;
          }
        }
        Stored stored(layout);
        stored.put(set(), i % 16, vectors[0], vectors[1]);
        const double of_key = distance(stored.key(i % 16), vectors[0]) / norm_of({vectors[0].begin(), vectors[0].end()});
        const double of_value = distance(stored.value(i % 16), vectors[1]) / norm_of({vectors[1].begin(), vectors[1].end()});
        EXPECT_LT(of_key, 2.1 * most(codec)) << name_of(codec) << " " << dim;
        EXPECT_LT(of_value, 2.1 * most(codec)) << name_of(codec) << " " << dim;
        key_error += of_key;
        value_error += of_value;
      }
      EXPECT_LT(key_error / kVectors, most(codec)) << name_of(codec) << " " << dim;
      EXPECT_LT(value_error / kVectors, most(codec)) << name_of(codec) << " " << dim;
    }
  }
}

TEST_P(NarrowCodec, ScoresAreNotShrunk) {
  for (const KvCodec codec : {KvCodec::int4, KvCodec::tq4, KvCodec::tq3, KvCodec::tq2}) {
    RandomNumbers random(32);
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> key = random.floats(128);
      Stored stored({codec, 1, 128});
      stored.put(set(), 3, key, key);
      const std::vector<double> found = stored.key(3);
      const double product = std::inner_product(found.begin(), found.end(), key.begin(), 0.0);
      const double square = std::inner_product(key.begin(), key.end(), key.begin(), 0.0);
      EXPECT_NEAR(product / square, 1, 0.0045) << "but for the rounding of the scale, " << name_of(codec);
    }
  }
}

TEST_P(NarrowCodec, Fp8IsTheNearestNumberThereIs) {
  std::vector<float> numbers;
  for (unsigned code = 0; code < 126; ++code) {
    const double low = fp8_value(code), high = fp8_value(code + 1);
    for (const double share : {0.0, 0.3, 0.49, 0.51, 0.9}) numbers.push_back(static_cast<float>(low + share * (high - low)));
    numbers.push_back(static_cast<float>((low + high) / 2));  // a tie: the even one
  }
  for (const float number : numbers) {
    const unsigned code = fp8_from_float(number);
    EXPECT_EQ(fp8_from_float(-number), code | 0x80u);
    const double error = std::fabs(fp8_value(code) - number);
    for (const unsigned other : {code - 1, code + 1}) {
      if (other > 126) continue;
      const double others = std::fabs(fp8_value(other) - number);
      EXPECT_TRUE(error < others || (error == others && code % 2 == 0)) << number;
    }
  }
  EXPECT_EQ(fp8_value(fp8_from_float(1e9f)), 448);
  EXPECT_EQ(fp8_value(fp8_from_float(-std::numeric_limits<float>::infinity())), -448);
  EXPECT_EQ(fp8_from_float(std::numeric_limits<float>::quiet_NaN()) & 0x7fu, 0x7fu);
}

TEST_P(NarrowCodec, APositionTouchesNoOther) {
  for (const KvCodec codec : kNarrow) {
    for (const int dim : kDims) {
      for (const int values_in_key : {0, dim, (dim + 1) / 2}) {
        const KvLayout layout = {codec, 3, dim, values_in_key};
        RandomNumbers random(33);
        std::vector<std::vector<float>> keys, values;
        for (int slot = 0; slot < 2 * kPageTokens; ++slot) {
          keys.push_back(random.floats(static_cast<size_t>(3 * dim)));
          values.push_back(random.floats(static_cast<size_t>(3 * dim)));
        }
        const auto at = [](int slot) { return static_cast<size_t>(slot); };
        Stored once(layout), again(layout);
        for (int slot = 0; slot < kPageTokens; ++slot) once.put(set(), slot, keys[at(slot)], values[at(slot)]);
        for (int slot = kPageTokens - 1; slot >= 0; --slot) {  // first something else, then the same
          again.put(set(), slot, keys[at(slot + kPageTokens)], values[at(slot + kPageTokens)]);
        }
        for (int i = 0; i < kPageTokens; ++i)
          again.put(set(), i * 7 % kPageTokens, keys[at(i * 7 % kPageTokens)], values[at(i * 7 % kPageTokens)]);
        EXPECT_EQ(once.slice, again.slice) << name_of(codec) << " " << dim << " values in key " << values_in_key;
      }
    }
  }
}

TEST_P(NarrowCodec, ZeroIsZeroAndTheHugeIsLimited) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const KvCodec codec : kScaled) {
    for (const int dim : {64, 1000, 1023}) {
      Stored stored({codec, 1, dim});
      const auto n = static_cast<size_t>(dim);
      std::vector<float> zeros(n), tiny(n, 1e-33f), huge(n), broken(n, 1.0f);
      for (size_t i = 0; i < n; ++i) huge[i] = i % 2 ? infinity : -3e38f;
      broken[5] = nan;
      stored.put(set(), 0, zeros, tiny);
      stored.put(set(), 1, huge, broken);
      EXPECT_EQ(norm_of(stored.key(0)), 0) << name_of(codec);
      EXPECT_EQ(norm_of(stored.value(0)), 0) << name_of(codec);
      const std::vector<double> limited = stored.key(1);
      for (size_t i = 0; i < n; ++i) huge[i] = i % 2 ? kLargestRotated : -kLargestRotated;
      EXPECT_LT(distance(limited, huge), 0.6 * std::sqrt(dim) * static_cast<double>(kLargestRotated)) << name_of(codec) << " " << dim;
      EXPECT_TRUE(std::isnan(stored.value(1)[0])) << name_of(codec);
    }
  }
}

TEST_P(NarrowCodec, TurningBackUndoesTheRotation) {
  for (const int dim : kDims) {
    RandomNumbers random(35);
    const KvLayout layout = {KvCodec::int8, 1, dim};
    const std::vector<float> x = random.floats(static_cast<size_t>(dim));
    const auto matrix = rotation_matrix(dim);
    std::vector<float> y;
    for (const auto& row : matrix) y.push_back(static_cast<float>(std::inner_product(row.begin(), row.end(), x.begin(), 0.0)));
    set().turn_back(layout, y.data());
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], x[i], 3e-6) << dim;
  }
}

}  // namespace
}  // namespace fovea::kernels
