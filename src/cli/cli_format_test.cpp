#include <gtest/gtest.h>

#include "cli/layer_table.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/run_report.h"
#include "cli/table.h"
#include "cli/terminal.h"

namespace fovea::cli {
namespace {

TEST(Quantity, BytesHaveThreeDigits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(253113024), "253 MB");
  EXPECT_EQ(bytes_text(98362432), "98.4 MB");
  EXPECT_EQ(bytes_text(999'600'000), "1.00 GB");
  EXPECT_EQ(bytes_text(99'970'000), "100 MB");
}

TEST(Quantity, CountsAreGroupedByThousands) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(268098176), "268,098,176");
  EXPECT_EQ(count_text(-1234), "-1,234");
}

TEST(Quantity, DurationsAreClockTimes) {
  EXPECT_EQ(seconds_text(0), "0:00");
  EXPECT_EQ(seconds_text(7.4), "0:07");
  EXPECT_EQ(seconds_text(754), "12:34");
  EXPECT_EQ(seconds_text(3723), "1:02:03");
  EXPECT_EQ(seconds_text(-1), "0:00");
  EXPECT_EQ(seconds_text(1e300), "2400:00:00");
}

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpace) {
  Table table({{"name", Table::Align::left}, {"t/s"}, {"note", Table::Align::left}});
  table.add_row({"prefill", "812.3", "é"});
  table.add_row({"é", "9.0", ""});
  EXPECT_EQ(table.text(),
            "name       t/s  note\n"
            "prefill  812.3  é\n"
            "é          9.0\n");
}

TEST(ProgressLine, SaysShareAmountRateAndRest) {
  EXPECT_EQ(progress_line("reading weights", 50'000'000, 200'000'000, ProgressUnit::bytes, 0.5, 100),
            "reading weights  [========>                         ]   25 %  50.0 MB of 200 MB  100 MB/s  "
            "0:02 left");
  EXPECT_EQ(progress_line("reading the prompt", 1024, 4096, ProgressUnit::tokens, 2, 50), "reading the prompt   25 %  1,024 of 4,096");
}

TEST(ProgressLine, NeverPassesTheEdgeOfTheTerminal) {
  for (int columns = 0; columns < 150; ++columns) {
    for (const int64_t done : {int64_t{0}, int64_t{17}, int64_t{1'000'000}, int64_t{2'000'000}}) {
      const std::string line = progress_line("stage", done, 1'000'000, ProgressUnit::tokens, 3, columns);
      EXPECT_LE(text_columns(line), static_cast<size_t>(columns)) << line;
    }
  }
}

TEST(ProgressLine, SurvivesTotalsOfNothing) {
  EXPECT_EQ(progress_line("x", 0, 0, ProgressUnit::bytes, 1, 30), "x  [>     ]    0 %  0 B of 0 B");
}

TEST(Terminal, ControlCharactersBecomeReplacementCharacters) {
  EXPECT_EQ(without_controls("plain\ttext\n"), "plain\ttext\n");
  EXPECT_EQ(without_controls("\x1b[31mred\r"), "\xEF\xBF\xBD[31mred\xEF\xBF\xBD");
  EXPECT_EQ(without_controls("\xC2\x9B"
                             "31m"),
            "\xEF\xBF\xBD"
            "31m");
  EXPECT_EQ(without_controls("\xC2\xA0é\xF0\x9F\x8E\x89"), "\xC2\xA0é\xF0\x9F\x8E\x89");
  EXPECT_EQ(without_controls(std::string_view("\0\x7f", 2)), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(TimingLine, NamesBothPhasesAndTheFirstToken) {
  RunTimes times;
  times.prefill_tokens = 34;
  times.prefill_seconds = 0.05;
  times.decode_tokens = 1;
  times.decode_seconds = 0.01;
  EXPECT_EQ(timing_line(times), "prefill 34 tokens, 680.0 t/s · decode 1 token, 100.0 t/s");
  times.first_token_seconds = 0.206;
  EXPECT_EQ(timing_line(times), "prefill 34 tokens, 680.0 t/s · decode 1 token, 100.0 t/s · first token 0.21 s");
  EXPECT_EQ(timing_line({}), "prefill 0 tokens · decode 0 tokens");
}

LayerFacts local_layer(int index) {
  LayerFacts layer;
  layer.index = index;
  layer.kind = "local";
  layer.window = 512;
  layer.q_heads = 4;
  layer.kv_heads = 1;
  layer.head_dim = 256;
  layer.rope_base = 10000;
  layer.cache_bytes_per_token = 1024;
  return layer;
}

TEST(LayerTable, FoldsLayersThatDifferOnlyInTheirIndex) {
  std::vector<LayerFacts> layers = {local_layer(0), local_layer(1), local_layer(2), local_layer(3), local_layer(4)};
  layers[2].kind = "global";
  layers[2].window.reset();
  layers[2].rope_base = 1e6f;
  layers[4].shares_with = 3;
  EXPECT_EQ(layer_table(layers),
            "layers  kind    window  q heads  kv heads  head dim  rope base  rope scale  cache/token  "
            "shares with\n"
            "0-1, 3  local      512        4         1       256     10,000           1      1,024 B        "
            "    -\n"
            "2       global     all        4         1       256  1,000,000           1      1,024 B        "
            "    -\n"
            "4       local      512        4         1       256     10,000           1      1,024 B        "
            "    3\n");
}

TEST(LayerTable, RangesJoinNeighbours) {
  EXPECT_EQ(ranges_text({}), "");
  EXPECT_EQ(ranges_text({3}), "3");
  EXPECT_EQ(ranges_text({0, 1, 2, 5, 7, 8}), "0-2, 5, 7-8");
}

}  // namespace
}  // namespace fovea::cli
