#include "files/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "base/mapped_file.h"
#include "files/byte_reader.h"
#include "files/untrusted_text.h"

namespace fovea::files {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderBytes = 64 * 1024;
constexpr size_t kDataAlignment = 64;
constexpr const char* kMend = "save a one-dimensional array of int32 or int64 with numpy.save";

// The header is one Python dictionary: {'descr': '<i4', 'fortran_order': False, 'shape': (5,), }. numpy.save
// always writes its three entries in this order and spacing; readers of other writers' files must not rely on
// either.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& source) : rest_(text), source_(source) {}

  // Position after `mark`, ignoring spaces before it; false when something else is next.
  bool accept(std::string_view mark) {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
    if (!rest_.starts_with(mark)) return false;
    rest_.remove_prefix(mark.size());
    return true;
  }
  void expect(std::string_view mark) {
    if (!accept(mark)) refuse("has a header without " + in_quotes(mark) + " where it belongs");
  }
  std::string_view text() {
    const char* quote = accept("'") ? "'" : "\"";
    if (*quote == '"') expect(quote);
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) refuse("has a header with a text that does not end");
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return found;
  }
  uint64_t integer() {
    accept("");
    uint64_t value = 0;
    const auto [end, failure] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (failure != std::errc()) refuse("has a header with an extent that is not an integer");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  bool at_end() { return accept("") && rest_.empty(); }

  [[noreturn]] void refuse(const std::string& problem) const { throw Error(problem, source_, kMend); }

 private:
  std::string_view rest_;
  const std::string& source_;
};

struct Header {
  std::optional<std::string_view> type;
  std::optional<bool> fortran_order;
  std::optional<uint64_t> count;
};

bool read_truth(HeaderText& text) {
  if (text.accept("True")) return true;
  text.expect("False");
  return false;
}

uint64_t read_single_extent(HeaderText& text) {
  text.expect("(");
  if (text.accept(")")) text.refuse("holds a single number, expected one dimension");
  const uint64_t count = text.integer();
  text.expect(",");
  if (!text.accept(")")) text.refuse("has more than one dimension");
  return count;
}

Header read_header(HeaderText text) {
  Header header;
  text.expect("{");
  while (!text.accept("}")) {
    const std::string_view name = text.text();
    text.expect(":");
    if (name == "descr") {
      header.type = text.text();
    } else if (name == "fortran_order") {
      header.fortran_order = read_truth(text);
    } else if (name == "shape") {
      header.count = read_single_extent(text);
    } else {
      text.refuse("has a header with the unknown entry " + in_quotes(name));
    }
    if (!text.accept(",")) {
      text.expect("}");
      break;
    }
  }
  if (!text.at_end()) text.refuse("has more than a dictionary in its header");
  if (!header.type || !header.fortran_order || !header.count) text.refuse("has an incomplete header");
  if (*header.fortran_order) text.refuse("is in Fortran order");
  return header;
}

std::string_view read_header_text(ByteReader& reader) {
  const auto magic = reader.take(kMagic.size(), "the magic number");
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) throw Error("is not a .npy file", reader.source(), kMend);
  const auto major = reader.read<uint8_t>("the format version");
  reader.read<uint8_t>("the format version");
  if (major < 1 || major > 3) {
    throw Error("is .npy version " + std::to_string(major) + ", expected 1 to 3", reader.source(), kMend);
  }
  const uint32_t bytes = major == 1 ? reader.read<uint16_t>("the header") : reader.read<uint32_t>("the header");
  if (bytes > kHeaderBytes) throw Error("claims a header of " + std::to_string(bytes) + " bytes", reader.source(), kMend);
  const auto text = reader.take(bytes, "the header");
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

template <typename Stored> std::vector<int32_t> read_integers(ByteReader& reader, uint64_t count) {
  reader.require_room(count, sizeof(Stored), "integers");
  if (reader.remaining() != count * sizeof(Stored)) {
    throw Error("holds more bytes than its " + std::to_string(count) + " integers", reader.where(), kMend);
  }
  std::vector<int32_t> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t value = reader.read<Stored>("the integers");
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) {
      throw Error("holds " + std::to_string(value) + " at index " + std::to_string(i) + ", which 32 bits cannot hold", reader.source(),
                  "token ids are below 2^31: correct the array");
    }
    values.push_back(static_cast<int32_t>(value));
  }
  return values;
}

std::string float_header(int64_t rows, int64_t columns) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " + std::to_string(columns) + "), }";
  const size_t before_text = kMagic.size() + 2 + 2;  // version, length
  const size_t unpadded = before_text + text.size() + 1;
  text.append((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(length & 0xFF), static_cast<char>(length >> 8)};
  return header + text;
}

// Renaming over a device or a pipe would replace it by a plain file.
void refuse_special_file(const std::string& path) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
    throw Error("is there and not a regular file", path, "name a file");
  }
}

std::string reason() { return std::strerror(errno); }

constexpr const char* kMendWriting = "check free space and permissions of the folder";

}  // namespace

std::vector<int32_t> parse_npy_integers(std::span<const std::byte> file, const std::string& source) {
  ByteReader reader(file, source);
  const Header header = read_header(HeaderText(read_header_text(reader), source));
  if (*header.type == "<i4") return read_integers<int32_t>(reader, *header.count);
  if (*header.type == "<i8") return read_integers<int64_t>(reader, *header.count);
  throw Error("holds values of type " + in_quotes(*header.type) + ", expected '<i4' or '<i8'", source, kMend);
}

std::vector<int32_t> read_npy_integers(const std::string& path) {
  const MappedFile file(path);
  return parse_npy_integers(file.bytes(), path);
}

NpyRowWriter::NpyRowWriter(std::string path, int64_t rows, int64_t columns) : path_(std::move(path)), rows_(rows), columns_(columns) {
  assert(rows >= 0 && columns >= 0);
  refuse_special_file(path_);
  temporary_ = path_ + ".partial-" + std::to_string(getpid());
  const int descriptor = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor >= 0) file_ = fdopen(descriptor, "wb");
  if (!file_) throw Error("cannot create: " + reason(), temporary_, kMendWriting);
  const std::string header = float_header(rows, columns);
  std::fwrite(header.data(), 1, header.size(), file_);  // failures stick to the stream; finish() looks
}

NpyRowWriter::~NpyRowWriter() {
  if (!file_) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void NpyRowWriter::write(std::span<const float> row) {
  assert(row.size() == static_cast<size_t>(columns_) && written_ < rows_);
  if (std::fwrite(row.data(), sizeof(float), row.size(), file_) != row.size()) {
    throw Error("cannot write: " + reason(), path_, kMendWriting);
  }
  ++written_;
}

void NpyRowWriter::finish() {
  assert(written_ == rows_);
  const bool flushed = std::fflush(file_) == 0 && !std::ferror(file_);
  const bool kept = flushed && std::rename(temporary_.c_str(), path_.c_str()) == 0;
  if (!kept) throw Error("cannot write: " + reason(), path_, kMendWriting);
  std::fclose(file_);
  file_ = nullptr;
}

}  // namespace fovea::files
