#include "files/json_text.h"

#include <set>
#include <vector>

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

constexpr int kDepth = 64;

// Watches the parser for what the finished tree can no longer show: depth and repeated names.
class Watch {
 public:
  explicit Watch(const std::string& source) : source_(source) {}

  bool operator()(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kDepth) {
      throw Error("nests deeper than " + std::to_string(kDepth) + " levels", source_, "the file is no model's: fetch it again");
    }
    if (event == Event::object_start) names_.emplace_back();
    if (event == Event::object_end) names_.pop_back();
    if (event == Event::key) note(parsed.get_ref<const std::string&>());
    return true;
  }

 private:
  void note(const std::string& name) {
    if (names_.back().insert(name).second) return;
    throw Error("the name " + in_quotes(name) + " stands twice in one object", source_,
                "the file is damaged or badly written: fetch or convert it again");
  }

  const std::string& source_;
  std::vector<std::set<std::string>> names_;  // one set for each open object
};

}  // namespace

nlohmann::json parse_json_object(std::string_view text, const std::string& source, size_t limit_bytes) {
  if (text.size() > limit_bytes) {
    throw Error("has " + std::to_string(text.size()) + " bytes of JSON, more than the " + std::to_string(limit_bytes) + " allowed", source,
                "the file is no model's: fetch it again");
  }
  nlohmann::json parsed;
  try {
    parsed = nlohmann::json::parse(text, Watch(source));
  } catch (const nlohmann::json::parse_error& failure) {
    throw Error("is not JSON", source + ", byte " + std::to_string(failure.byte), "fetch the file again");
  } catch (const nlohmann::json::exception&) {
    throw Error("holds a number beyond the range of double", source, "fetch or convert the file again");
  }
  if (!parsed.is_object()) throw Error("is not a JSON object", source, "fetch the file again");
  return parsed;
}

}  // namespace fovea::files
