// Files that grow shorter while they are read.
#pragma once

namespace fovea {

// Model files are mapped into memory. One that somebody cuts short meanwhile kills its reader (SIGBUS); from this call on it ends the
// process with exit status 1 and a message on stderr that names the file. For programs: the library installs no handler of its own accord.
void exit_when_a_file_is_cut_short();

}  // namespace fovea
