// Conversations in a folder, so that a server that was ended, or killed, goes on where it was.
//
// A session file each (docs/session-format.md), which is appended to as the conversation grows and whole at any moment; its note is JSON:
// {"salt": what it is kept under, "prompt": tokens of the newest prompt}. The folder belongs to one server at a time. Files that it cannot
// use (of another model or codec, damaged) stay as they are.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "fovea/engine.h"

namespace fovea::serve {

// A folder that no other server uses.
class FolderLock {
 public:
  // Makes the folder if need be. errors: Error when it cannot be used, or another server uses it
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

// threads  add() and pending() from any; the others where the engine is
class ConversationStore {
 public:
  // most_bytes: of all conversations; beyond it those that were not continued for longest are deleted. errors: as FolderLock
  ConversationStore(std::string folder, int64_t most_bytes);

  struct Restored {
    int conversations = 0;
    int64_t tokens = 0;
    std::vector<std::string> left_out;  // files that stay unused, and why
  };
  // What the folder holds goes into the engine's cache, what was continued last in the end.
  // older: another folder, whose conversations of this engine's model are moved here; empty: none
  Restored restore(Engine& engine, const std::string& older = "");

  // A conversation as it stands now. What has another's newest prompt, but for what asked for the answer, continues that or answers
  // it anew, and takes its place.
  struct Turn {
    std::string salt;
    std::vector<int32_t> tokens;  // prompt and answer
    int prompt_tokens = 0;
    bool continues(const Turn& earlier) const;
  };
  // To be saved. Where more wait than kMostPending, the oldest is given up.
  void add(Turn turn);
  bool pending() const;
  // Saves the one that has waited longest. errors: Error; what is in files is still there
  void save_one(Engine& engine);

  static constexpr int kAskingTokens = 8;  // most at the end of a prompt that the next turn may have otherwise
  static constexpr size_t kMostPending = 256;
  static constexpr size_t kFewestTokens = 32;  // less is read again sooner than it is restored

 private:
  struct Conversation {
    std::string path;
    Turn turn;
    int64_t bytes = 0;
  };

  std::deque<Conversation>::iterator continued_by(const Turn& turn);
  std::string new_path() const;
  bool restore_one(Engine& engine, const std::string& path, Restored& restored);
  void take_over(Engine& engine, const std::string& older, Restored& restored);
  void delete_oldest();

  const std::string folder_;
  const int64_t most_bytes_;
  const FolderLock lock_;
  std::deque<Conversation> conversations_;  // in the order in which they were last continued
  mutable std::mutex mutex_;                // of pending_
  std::deque<Turn> pending_;
};

}  // namespace fovea::serve
