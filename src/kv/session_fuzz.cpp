// Any bytes are a session that is read, or an Error; what was read lies inside the file, and a cache restores it or
// refuses it whole. The first byte says whether checksums and fingerprints are made to fit: nothing gets behind them
// by chance.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fovea/error.h"
#include "kv/cache.h"
#include "kv/session_file.h"
#include "kv/session_record.h"

namespace fovea::kv {
namespace {

constexpr SessionModel kModel = {7, "fuzz"};
enum Mending : uint8_t { kChecksums = 1, kFingerprints = 2 };

// As tools/make_session_seeds.py has them.
std::vector<GroupSpec> groups() {
  return {{.window = 20, .layers = {0, 1}, .layout = {KvCodec::f16, 1, 4}},
          {.layers = {2}, .layout = {KvCodec::f32, 1, 3}},
          {.layers = {3}, .state_bytes = 128}};
}

void mend(std::vector<std::byte>& file, uint8_t mending) {
  if (file.size() < sizeof(SessionHeader)) return;
  SessionHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  if (mending & kFingerprints) {
    header.model = kModel.fingerprint;
    header.cache = session_key(kModel.fingerprint, groups()).cache;
  }
  header.checksum = checksum_before(header, header.checksum);
  std::memcpy(file.data(), &header, sizeof header);
  for (size_t at = sizeof header; file.size() - at >= sizeof(SessionRecord);) {
    SessionRecord record;
    std::memcpy(&record, file.data() + at, sizeof record);
    const size_t left = file.size() - at - sizeof record;
    if (record.bytes <= left) record.payload_checksum = checksum(std::span(file).subspan(at + sizeof record, record.bytes));
    record.checksum = checksum_before(record, record.checksum);
    std::memcpy(file.data() + at, &record, sizeof record);
    if (record.bytes > left) return;
    at += sizeof record + record.bytes;
  }
}

// A file in memory with a name.
class NamedBytes {
 public:
  explicit NamedBytes(std::span<const std::byte> bytes) : file_(memfd_create("session", 0)) {
    if (file_ < 0 || write(file_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) abort();
  }
  ~NamedBytes() { close(file_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

void require(bool holds) {
  if (!holds) abort();
}

void expect_whole(const SessionReader& file) {
  const SessionState& state = file.state();
  require(state.groups.size() == file.groups().size() || file.valid_bytes() == 0);
  require(file.valid_bytes() <= file.file_bytes());
  int64_t sum = 0;
  for (const SessionGroup& group : state.groups) {
    for (const std::byte* page : group.pages) sum += static_cast<int64_t>(*page);
  }
  for (const int32_t token : state.tokens) sum += token;
  require(sum != INT64_MIN && state.held <= static_cast<int>(state.tokens.size()));
}

void read(const std::string& path, Damage damage) {
  try {
    expect_whole(SessionReader(path, damage));
  } catch (const Error& error) {
    require(!error.problem().empty() && !error.where().empty() && !error.mend().empty());
  }
}

void restore(const std::string& path) {
  static Cache cache(groups(), {.context_tokens = 200, .chunk_tokens = 32, .retained_bytes = 1 << 16});
  try {
    const Cache::Restored restored = cache.restore(path, kModel, "");
    Prompt prompt;
    prompt.tokens = std::span(restored.tokens).first(static_cast<size_t>(restored.held));
    prompt.most_reused = restored.held;
    if (restored.held > 0) require(cache.known_tokens(prompt) == restored.held);
  } catch (const Error& error) {
    require(!error.problem().empty() && !error.where().empty() && !error.mend().empty());
  }
  cache.check();
  cache.forget();
  require(cache.used_bytes() == 0);
}

}  // namespace
}  // namespace fovea::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea::kv;
  if (size < 2) return 0;
  const auto input = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  if (data[0] & kChecksums) mend(bytes, data[0]);
  const NamedBytes file(bytes);
  read(file.path(), Damage::refused);
  read(file.path(), Damage::told);
  restore(file.path());
  return 0;
}
