#include "serve/conversation_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "fovea/error.h"
#include "fovea/session.h"
#include "serve/call_fields.h"

namespace fovea::serve {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".session";

std::string note_of(const ConversationStore::Turn& turn) {
  return nlohmann::json({{"salt", turn.salt}, {"prompt", turn.prompt_tokens}})
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// errors: Error when it is no note of a conversation
ConversationStore::Turn turn_of(const std::string& note, const std::string& path) {
  const nlohmann::json fields = nlohmann::json::parse(note, nullptr, false);
  if (!fields.is_object() || !fields.contains("salt") || !fields["salt"].is_string() || !fields.contains("prompt") ||
      !fields["prompt"].is_number_integer()) {
    throw Error("is a session of something else than a server", path, "keep it in another folder");
  }
  return {fields["salt"], {}, static_cast<int>(std::clamp<int64_t>(fields["prompt"], 0, INT32_MAX))};
}

int locked(const std::string& folder) {
  std::error_code failed;
  if (fs::create_directories(folder, failed)) fs::permissions(folder, fs::perms::owner_all, failed);
  if (failed) throw Error(failed.message(), folder, "name a folder that can be made and written to");
  const std::string path = folder + "/lock";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw Error(std::strerror(errno), path, "name a folder that can be written to");
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  close(file);
  throw Error("another server keeps its conversations there", folder, "end that one, or name another folder");
}

// Session files of the folder, the one that was written last at the end.
std::vector<fs::path> files_of(const std::string& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == kExtension) found.emplace_back(entry.last_write_time(), entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [time, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder) : file_(locked(folder)) {}

FolderLock::~FolderLock() { close(file_); }

ConversationStore::ConversationStore(std::string folder, int64_t most_bytes)
    : folder_(std::move(folder)), most_bytes_(most_bytes), lock_(folder_) {}

bool ConversationStore::restore_one(Engine& engine, const std::string& path, Restored& restored) {
  try {
    const SessionFacts facts = inspect_session(path);
    Turn turn = turn_of(facts.note, path);
    Session session = engine.restore_session(path, turn.salt);
    turn.tokens = std::move(session.tokens);
    conversations_.push_back({path, std::move(turn), facts.file_bytes});
    ++restored.conversations;
    restored.tokens += session.held_tokens;
    return true;
  } catch (const Error& error) {
    restored.left_out.push_back(error.what());
    return false;
  }
}

// What is of other models stays there, and is theirs to take.
void ConversationStore::take_over(Engine& engine, const std::string& older, Restored& restored) {
  Restored there;
  for (const fs::path& path : files_of(older)) {
    if (!restore_one(engine, path.string(), there)) continue;
    const std::string moved = new_path();
    std::error_code failed;
    fs::rename(path, moved, failed);
    if (failed) conversations_.pop_back();
    else conversations_.back().path = moved;
  }
  restored.conversations += there.conversations;
  restored.tokens += there.tokens;
}

ConversationStore::Restored ConversationStore::restore(Engine& engine, const std::string& older) {
  Restored restored;
  const std::vector<fs::path> own = files_of(folder_);
  if (!older.empty()) take_over(engine, older, restored);
  for (const fs::path& path : own) restore_one(engine, path.string(), restored);
  delete_oldest();
  return restored;
}

bool ConversationStore::Turn::continues(const Turn& earlier) const {
  const int shared = earlier.prompt_tokens - kAskingTokens;
  return salt == earlier.salt && shared > 0 && static_cast<size_t>(shared) <= std::min(tokens.size(), earlier.tokens.size()) &&
         std::equal(tokens.begin(), tokens.begin() + shared, earlier.tokens.begin());
}

void ConversationStore::add(Turn turn) {
  if (turn.tokens.size() < kFewestTokens) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(pending_, [&](const Turn& earlier) { return turn.continues(earlier); });
  pending_.push_back(std::move(turn));
  if (pending_.size() > kMostPending) pending_.pop_front();
}

bool ConversationStore::pending() const {
  const std::lock_guard lock(mutex_);
  return !pending_.empty();
}

// The longest conversation that `turn` continues.
std::deque<ConversationStore::Conversation>::iterator ConversationStore::continued_by(const Turn& turn) {
  auto longest = conversations_.end();
  for (auto it = conversations_.begin(); it != conversations_.end(); ++it) {
    if (!turn.continues(it->turn)) continue;
    if (longest == conversations_.end() || it->turn.prompt_tokens > longest->turn.prompt_tokens) longest = it;
  }
  return longest;
}

std::string ConversationStore::new_path() const { return fmt::format("{}/{:016x}{}", folder_, random_seed(), kExtension); }

void ConversationStore::save_one(Engine& engine) {
  Turn turn;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.empty()) return;
    turn = std::move(pending_.front());
    pending_.pop_front();
  }
  Conversation conversation = {new_path(), {}, 0};
  int least_held = 1;
  if (const auto earlier = continued_by(turn); earlier != conversations_.end()) {
    conversation.path = earlier->path;
    least_held = earlier->turn.prompt_tokens - kAskingTokens;  // what was forgotten meanwhile does not take the place of what is there
  }
  const int held = engine.save_session(conversation.path, {turn.tokens, least_held, note_of(turn), turn.salt});
  if (held < least_held) return;
  std::erase_if(conversations_, [&](const Conversation& earlier) { return earlier.path == conversation.path; });
  conversation.turn = std::move(turn);
  std::error_code gone;
  const auto bytes = fs::file_size(conversation.path, gone);
  conversation.bytes = gone ? 0 : static_cast<int64_t>(bytes);
  conversations_.push_back(std::move(conversation));
  delete_oldest();
}

void ConversationStore::delete_oldest() {
  int64_t all = 0;
  for (const Conversation& conversation : conversations_) all += conversation.bytes;
  while (all > most_bytes_ && conversations_.size() > 1) {
    std::error_code gone;
    fs::remove(conversations_.front().path, gone);
    all -= conversations_.front().bytes;
    conversations_.pop_front();
  }
}

}  // namespace fovea::serve
