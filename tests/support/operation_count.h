// How long tests of random operations go on.
#pragma once

#include <cstdlib>

namespace fovea::testing_support {

// `usual`, or what FOVEA_RANDOM_OPERATIONS says: operations per mix of groups, in the long form.
inline int operation_count(int usual) {
  const char* wanted = std::getenv("FOVEA_RANDOM_OPERATIONS");
  return wanted ? std::atoi(wanted) : usual;
}

}  // namespace fovea::testing_support
