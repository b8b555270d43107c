// What a prompt found of itself in the cache, and why not more.
#pragma once

#include <cstdint>

namespace fovea::kv {

enum class MissReason : uint8_t {
  none,            // all that can be reused was
  off,             // reuse was not asked for
  unknown,         // nothing known begins like this
  differs,         // what is known goes on with another token
  ends,            // what is known ends here
  dropped,         // more was known, and dropped because its bytes were wanted
  expired,         // more was known, until its time to live was over
  no_window,       // tokens are known beyond, but no window was pinned there
  window_dropped,  // likewise: it was pinned, and dropped because its bytes were wanted
  window_expired,  // likewise: until its time to live was over
  no_state,        // tokens are known beyond, but no state was kept there
  state_dropped,   // likewise: it was, and dropped because its bytes were wanted
  state_expired,   // likewise: until its time to live was over
};
inline constexpr int kMissReasons = 13;

struct Reuse {
  int tokens = 0;   // of the prompt, that need not be computed
  int matched = 0;  // that are known: at least `tokens`
  MissReason reason = MissReason::none;
  int position = 0;   // where the reason applies
  int replayed = 0;   // of the tokens computed, those that only restore the windows: global K/V are kept as they are
  bool exact = true;  // false: windows were restored approximately, as the request allowed
};

}  // namespace fovea::kv
