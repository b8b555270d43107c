// The program `fovea`: arguments in, exit status out.
#pragma once

namespace fovea::cli {

// 0 done, 1 failed (what, where and how to mend it on stderr), 2 wrong usage; 128 + number when a signal
// stopped it.
int run_command_line(int argc, char** argv);

}  // namespace fovea::cli
