#include "cli/command_line.h"

#include <fmt/format.h>

#include <csignal>
#include <functional>
#include <iostream>
#include <new>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "fovea/lost_file.h"
#include "fovea/options.h"

namespace fovea::cli {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kSignalled = 128;  // plus the number of the signal, as shells report it

constexpr const char* kDescription =
    "Fovea runs language models on the CPU, and is made for those that see sharply near by and everything\n"
    "far away (sliding-window layers between global ones: Gemma 3 and its kin).";

constexpr const char* kExamples =
    "Examples:\n"
    "  fovea models install gemma3-270m\n"
    "  fovea run -p \"The sea at night is\" -n 64\n"
    "  fovea run -m smollm2 -i\n"
    "  fovea inspect model.gguf\n"
    "  fovea COMMAND --help     what a command takes, with examples\n";

int fail(const Error& error) {
  write_error(error_text(error));
  return kFailed;
}

bool is_command(const CLI::App& program, const std::string& word) {
  return !program.get_subcommands([&](const CLI::App* known) { return known->get_name() == word; }).empty();
}

// `first` is the first argument.
int wrong_usage(const CLI::App& program, const std::string& first, const std::string& what) {
  const std::string command = is_command(program, first) ? first + " " : "";
  const bool is_word = command.empty() && !first.starts_with('-');
  const std::string problem = is_word ? "there is no command '" + first + "'" : what;
  write_error(without_controls(fmt::format("fovea: {}\n  mend: see fovea {}--help\n", problem, command)));
  return kWrongUsage;
}

// Exceptions end here and nowhere else.
int perform(const Action& action, const std::function<int(const UsageError&)>& on_usage_error) {
  try {
    const int status = action();
    flush_output();
    return status;
  } catch (const Error& error) {
    return fail(error);
  } catch (const UsageError& error) {
    return on_usage_error(error);
  } catch (const Stopped&) {
    write_error("stopped\n");
    return kSignalled + interrupt_signal();
  } catch (const OutputClosed&) {
    return kSignalled + SIGPIPE;  // the reader has left: nobody to talk to
  } catch (const std::bad_alloc&) {
    return fail(Error("out of memory", "", "try a shorter context (-c) or a smaller model"));
  } catch (const std::exception& error) {
    return fail(Error(error.what(), "", ""));
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  // A closed pipe is noticed by writing to it; dying of the signal would leave half-written files behind.
  std::signal(SIGPIPE, SIG_IGN);
  exit_when_a_file_is_cut_short();
  CLI::App program(kDescription, "fovea");
  program.set_version_flag("--version", "fovea " FOVEA_VERSION);
  program.footer(kExamples);
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);

  Action chosen;
  add_run_command(program, chosen);
  add_serve_command(program, chosen);
  add_tokenize_command(program, chosen);
  add_logits_command(program, chosen);
  add_perplexity_command(program, chosen);
  add_kv_quality_command(program, chosen);
  add_bench_command(program, chosen);
  add_inspect_command(program, chosen);
  add_plan_command(program, chosen);
  add_models_command(program, chosen);
  add_convert_command(program, chosen);
  add_synth_command(program, chosen);
  if (argc <= 1) {
    write_error(program.help());
    return kWrongUsage;
  }
  const std::string first = argv[1];
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    program.exit(request, std::cout, std::cerr);
    return kDone;
  } catch (const CLI::ParseError& error) {
    return wrong_usage(program, first, error.what());
  }
  const InterruptGuard guard;
  return perform(chosen, [&](const UsageError& error) { return wrong_usage(program, first, error.what()); });
}

}  // namespace fovea::cli
