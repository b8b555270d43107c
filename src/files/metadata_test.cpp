#include "files/metadata.h"

#include <cmath>
#include <limits>

#include "files/test_files.h"

namespace fovea::files {
namespace {

Metadata sample() {
  Metadata metadata("model.gguf");
  metadata.set("integer", int64_t{7});
  metadata.set("large", int64_t{1} << 40);
  metadata.set("number", 0.5);
  metadata.set("huge", 1e300);
  metadata.set("nan", std::numeric_limits<double>::quiet_NaN());
  metadata.set("flag", true);
  metadata.set("text", std::string("abc"));
  metadata.set("integers", std::vector<int64_t>{1, 2, 3});
  metadata.set("large integers", std::vector<int64_t>{1, int64_t{1} << 40});
  metadata.set("numbers", std::vector<double>{0.5, 1.5});
  metadata.set("flags", std::vector<bool>{true, false});
  metadata.set("texts", std::vector<std::string>{"a", "b"});
  return metadata;
}

TEST(Metadata, PresentValuesAreReturned) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.integer("integer"), 7);
  EXPECT_EQ(metadata.integer("integer", 9), 7);
  EXPECT_EQ(metadata.number("number"), 0.5f);
  EXPECT_EQ(metadata.number("integer"), 7.0f);
  EXPECT_TRUE(metadata.flag("flag", false));
  EXPECT_EQ(metadata.text("text"), "abc");
  EXPECT_EQ(metadata.integers("integers"), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(metadata.numbers("integers"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(metadata.numbers("numbers"), (std::vector<float>{0.5f, 1.5f}));
  EXPECT_EQ(metadata.flags("flags"), (std::vector<bool>{true, false}));
  EXPECT_EQ(metadata.texts("texts"), (std::vector<std::string>{"a", "b"}));
}

TEST(Metadata, AbsentValuesFallBack) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.integer("absent", 9), 9);
  EXPECT_EQ(metadata.maybe_integer("absent"), std::nullopt);
  EXPECT_EQ(metadata.number("absent", 2.5f), 2.5f);
  EXPECT_EQ(metadata.maybe_number("absent"), std::nullopt);
  EXPECT_TRUE(metadata.flag("absent", true));
  EXPECT_EQ(metadata.text("absent", "x"), "x");
  EXPECT_TRUE(metadata.integers("absent").empty());
  EXPECT_TRUE(metadata.numbers("absent").empty());
  EXPECT_TRUE(metadata.flags("absent").empty());
  EXPECT_TRUE(metadata.texts("absent").empty());
}

TEST(Metadata, MissingRequiredValueNamesFileKeyAndKind) {
  const Metadata metadata = sample();
  EXPECT_TRUE(holds(refusal([&] { metadata.integer("absent"); }), "model.gguf, key 'absent': is missing, expected an integer"));
  EXPECT_TRUE(holds(refusal([&] { metadata.number("absent"); }), "expected a number"));
  EXPECT_TRUE(holds(refusal([&] { metadata.text("absent"); }), "expected text"));
  EXPECT_TRUE(holds(refusal([&] { metadata.integer_per_layer("absent", 3); }), "one per layer"));
}

TEST(Metadata, ValueOfAnotherKindNamesBothKindsEvenWhereAFallbackExists) {
  const Metadata metadata = sample();
  EXPECT_TRUE(holds(refusal([&] { metadata.integer("text", 9); }), "holds text, expected an integer"));
  EXPECT_TRUE(holds(refusal([&] { metadata.integer("number"); }), "holds a number, expected an integer"));
  EXPECT_TRUE(holds(refusal([&] { metadata.number("flag"); }), "holds true or false, expected a number"));
  EXPECT_TRUE(holds(refusal([&] { metadata.flag("integer", true); }), "expected true or false"));
  EXPECT_TRUE(holds(refusal([&] { metadata.text("texts", ""); }), "holds a list of texts, expected text"));
  EXPECT_TRUE(holds(refusal([&] { metadata.integers("integer"); }), "expected a list of integers"));
  EXPECT_TRUE(holds(refusal([&] { metadata.numbers("flags"); }), "expected a list of numbers"));
  EXPECT_TRUE(holds(refusal([&] { metadata.flags("numbers"); }), "expected a list of true or false"));
  EXPECT_TRUE(holds(refusal([&] { metadata.texts("integers"); }), "expected a list of texts"));
}

TEST(Metadata, ValuesOutOfRangeAreRefused) {
  const Metadata metadata = sample();
  EXPECT_TRUE(holds(refusal([&] { metadata.integer("large"); }), "holds 1099511627776"));
  EXPECT_TRUE(holds(refusal([&] { metadata.integers("large integers"); }), "holds 1099511627776"));
  EXPECT_TRUE(holds(refusal([&] { metadata.number("huge"); }), "finite"));
  EXPECT_TRUE(holds(refusal([&] { metadata.number("nan"); }), "finite"));
}

TEST(Metadata, IntegerPerLayerIsOneForAllOrOneForEach) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.integer_per_layer("integer", 3), (std::vector<int>{7, 7, 7}));
  EXPECT_EQ(metadata.integer_per_layer("integers", 3), (std::vector<int>{1, 2, 3}));
  EXPECT_TRUE(holds(refusal([&] { metadata.integer_per_layer("integers", 4); }), "each of 4 layers"));
}

}  // namespace
}  // namespace fovea::files
