// The form of a session: its groups as numbers, and their fingerprint.
#include <algorithm>
#include <limits>

#include "kernels/kv_layout.h"
#include "kv/formula.h"
#include "kv/session_file.h"
#include "kv/session_record.h"

namespace fovea::kv {
namespace {

// Beyond anything that is; so that no product of them overflows.
constexpr uint32_t kMostGroups = 1 << 10, kMostLayers = 1 << 16, kMostHeads = 1 << 12, kMostDims = 1 << 14;
constexpr uint32_t kMostWindow = 1 << 30, kMostNameBytes = 1 << 12;
constexpr auto kLastCodec = static_cast<uint32_t>(KvCodec::tq2);
constexpr uint64_t kMostStateBytes = uint64_t{1} << 32;

struct GroupNumbers {
  uint32_t window, kv_heads, head_dim, values_in_key, key_codec, value_codec, layers;
  uint16_t turned, newest;
  uint64_t state_bytes;
};
static_assert(sizeof(GroupNumbers) == 40);

template <typename T> void append(std::string& bytes, const T& value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); }

void append(std::string& bytes, const GroupSpec& group) {
  const kernels::KvLayout& layout = group.layout;
  append(bytes,
         GroupNumbers{static_cast<uint32_t>(group.window), static_cast<uint32_t>(layout.kv_heads), static_cast<uint32_t>(layout.head_dim),
                      static_cast<uint32_t>(layout.values_in_key), static_cast<uint32_t>(layout.codec.keys),
                      static_cast<uint32_t>(layout.codec.values), static_cast<uint32_t>(group.layers.size()),
                      static_cast<uint16_t>(layout.turned), static_cast<uint16_t>(group.newest), static_cast<uint64_t>(group.state_bytes)});
  for (const int layer : group.layers) append(bytes, static_cast<uint32_t>(layer));
}

// What REQUIRES of KvLayout::turned and GroupSpec::newest say.
bool is_sane_beside_codes(const GroupNumbers& n) {
  const bool turned = n.turned % 2 == 0 && n.turned <= n.head_dim && (n.turned == 0 || n.values_in_key == n.head_dim);
  const bool newest = n.newest <= 1 && (n.newest == 0 || n.window > 0);
  return turned && newest && (n.state_bytes == 0 || (n.turned == 0 && n.newest == 0));
}

bool is_sane(const GroupNumbers& n) {
  const bool pages = n.kv_heads > 0 && n.kv_heads <= kMostHeads && n.head_dim > 0 && n.head_dim <= kMostDims;
  return n.window <= kMostWindow && n.values_in_key <= n.head_dim && n.key_codec <= kLastCodec && n.value_codec <= kLastCodec &&
         n.layers > 0 && n.layers <= kMostLayers && is_sane_beside_codes(n) && n.state_bytes <= kMostStateBytes &&
         (pages || n.state_bytes > 0);
}

bool read_group(ByteReader& rest, GroupSpec& group) {
  GroupNumbers n;
  if (!rest.take(n) || !is_sane(n)) return false;
  group.window = static_cast<int>(n.window);
  group.layout = {{static_cast<KvCodec>(n.key_codec), static_cast<KvCodec>(n.value_codec)},
                  static_cast<int>(n.kv_heads),
                  static_cast<int>(n.head_dim),
                  static_cast<int>(n.values_in_key),
                  static_cast<int>(n.turned)};
  group.state_bytes = static_cast<int64_t>(n.state_bytes);
  group.newest = n.newest != 0;
  for (uint32_t i = 0; i < n.layers; ++i) {
    uint32_t layer = 0;
    if (!rest.take(layer) || layer > kMostLayers) return false;
    group.layers.push_back(static_cast<int>(layer));
  }
  return true;
}

}  // namespace

std::string form_bytes(std::string_view model_name, std::span<const GroupSpec> groups) {
  std::string bytes;
  const std::string_view name = model_name.substr(0, kMostNameBytes);
  append(bytes, static_cast<uint32_t>(name.size()));
  bytes.append(name);
  append(bytes, static_cast<uint32_t>(groups.size()));
  for (const GroupSpec& group : groups) append(bytes, group);
  return bytes;
}

bool read_form(std::span<const std::byte> payload, std::string& model_name, std::vector<GroupSpec>& groups) {
  ByteReader rest(payload);
  uint32_t name_bytes = 0, count = 0;
  std::span<const std::byte> name;
  if (!rest.take(name_bytes) || name_bytes > kMostNameBytes || !rest.take(name_bytes, name) || !rest.take(count) || count == 0 ||
      count > kMostGroups) {
    return false;
  }
  model_name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  groups.resize(count);
  return std::ranges::all_of(groups, [&](GroupSpec& group) { return read_group(rest, group); }) && rest.left() == 0;
}

// What a stored key is of the model's. 2: balanced with the queries (model/key_balance.h), and for narrow codecs shifted by what
// model/key_shifts.h measures. To be raised whenever either changes, or the signs, levels or text that they are made with.
constexpr uint32_t kStoredKeys = 2;

SessionKey session_key(uint64_t model, std::span<const GroupSpec> groups) {
  std::string numbers;
  append(numbers, kStoredKeys);
  append(numbers, static_cast<uint32_t>(kernels::kPageTokens));
  for (const GroupSpec& group : groups) {
    append(numbers, group);
    append(numbers, page_bytes(group));
  }
  return {model, checksum(std::as_bytes(std::span(numbers)))};
}

}  // namespace fovea::kv
