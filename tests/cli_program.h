// Runs the program under test as a user's shell would.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace fovea::cli_tests {

namespace fs = std::filesystem;

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_file(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

using testing_support::TemporaryFolder;

using Arguments = std::vector<std::string>;

// Starts the program with the given descriptors as stdin, stdout and stderr.
inline pid_t start(const Arguments& arguments, int in, int out, int error) {
  std::vector<char*> argv = {const_cast<char*>(FOVEA_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  execv(FOVEA_PROGRAM, argv.data());
  _exit(127);
}

// As shells count: 128 + number for a program that died of a signal. peak_bytes: most memory that was resident.
inline int wait_for(pid_t child, int64_t* peak_bytes = nullptr) {
  int status = 0;
  rusage usage = {};
  wait4(child, &status, 0, &usage);
  if (peak_bytes) *peak_bytes = int64_t{usage.ru_maxrss} * 1024;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct Outcome {
  int status = 0;
  int64_t peak_bytes = 0;  // resident
  std::string out, error;
};

inline Outcome run(const Arguments& arguments, const std::string& input = "") {
  const TemporaryFolder folder;
  write_file(folder / "in", input);
  const int in = open((folder / "in").c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int error = open((folder / "error").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  Outcome outcome;
  outcome.status = wait_for(start(arguments, in, out, error), &outcome.peak_bytes);
  for (const int descriptor : {in, out, error}) close(descriptor);
  outcome.out = read_file(folder / "out");
  outcome.error = read_file(folder / "error");
  return outcome;
}

}  // namespace fovea::cli_tests
