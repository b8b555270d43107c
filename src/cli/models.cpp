// fovea models: those Fovea knows by name, and which of them are here.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "fovea/catalogue.h"
#include "fovea/error.h"
#include "fovea/options.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Any other .gguf file, or folder with config.json and safetensors, works by its path.\n"
    "\n"
    "Examples:\n"
    "  fovea models list\n"
    "  fovea models install gemma3-270m\n"
    "  fovea models path gemma3-270m\n"
    "  fovea models remove gemma3-270m\n";

const CatalogueEntry& entry_named(const std::string& name) {
  if (const CatalogueEntry* entry = find_in_catalogue(name)) return *entry;
  std::string names;
  for (const CatalogueEntry& entry : catalogue()) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  throw Error("no model is called '" + name + "'", "", "known are: " + names);
}

nlohmann::ordered_json json_of(const CatalogueEntry& entry) {
  const auto path = installed_path(entry.name);
  return {{"name", std::string(entry.name)},
          {"alias", std::string(entry.alias)},
          {"description", std::string(entry.description)},
          {"size_bytes", entry.size_bytes},
          {"sha256", std::string(entry.sha256)},
          {"licence", std::string(entry.licence)},
          {"terms", std::string(entry.terms)},
          {"source", std::string(entry.source)},
          {"path", path ? nlohmann::ordered_json(path->string()) : nlohmann::ordered_json()}};
}

int list(bool json) {
  if (json) {
    nlohmann::ordered_json object = {{"folder", model_folder().string()}};
    object["models"] = nlohmann::ordered_json::array();
    for (const CatalogueEntry& entry : catalogue()) object["models"].push_back(json_of(entry));
    write_json(object);
    return 0;
  }
  Table table({{"name", Table::Align::left},
               {"size"},
               {"licence", Table::Align::left},
               {"installed", Table::Align::left},
               {"what it is", Table::Align::left}});
  for (const CatalogueEntry& entry : catalogue()) {
    table.add_row({std::string(entry.name), bytes_text(static_cast<double>(entry.size_bytes)), std::string(entry.licence),
                   installed_path(entry.name) ? "yes" : "no", std::string(entry.description)});
  }
  write_output(table.text());
  return 0;
}

int install(const std::string& name) {
  const CatalogueEntry& entry = entry_named(name);
  if (!entry.terms.empty()) write_error(std::string(entry.terms) + "\n");
  std::filesystem::path path;
  {
    ProgressBar bar(ProgressUnit::bytes);
    path = install_model(entry, [&](InstallStage stage, uint64_t done, uint64_t total) {
      bar.update(stage == InstallStage::downloading ? "downloading" : "assembling", static_cast<int64_t>(done),
                 static_cast<int64_t>(total));
      if (interrupted()) throw Stopped();
    });
  }
  write_output(path.string() + "\n");
  return 0;
}

int remove(const std::string& name) {
  const CatalogueEntry& entry = entry_named(name);
  const bool removed = remove_model(entry.name);
  write_error(fmt::format("{} {}\n", entry.name, removed ? "removed" : "was not installed"));
  return 0;
}

int path(const std::string& name) {
  if (name.empty()) {
    write_output(model_folder().string() + "\n");
    return 0;
  }
  const CatalogueEntry& entry = entry_named(name);
  const auto installed = installed_path(entry.name);
  if (!installed) {
    throw Error(fmt::format("model {} is not installed", entry.name), model_folder().string(),
                fmt::format("install it with fovea models install {}", entry.name));
  }
  write_output(installed->string() + "\n");
  return 0;
}

}  // namespace

void add_models_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("models", "install, list and remove models that have a name");
  command->require_subcommand(1);
  command->footer(kExamples);
  const auto name = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  const auto add = [&](const char* verb, const char* help, std::function<int(const std::string&)> work) {
    CLI::App* sub = command->add_subcommand(verb, help);
    sub->callback([work, name, &chosen] { chosen = [work, name] { return work(*name); }; });
    return sub;
  };
  add("list", "the models, and which are installed", [json](const std::string&) {
    return list(*json);
  })->add_flag("--json", *json, "one JSON object on stdout");
  add("install", "download a model, verify it and print its path", install)
      ->add_option("name", *name, "as in fovea models list")
      ->type_name("NAME")
      ->required();
  add("remove", "delete an installed model", remove)->add_option("name", *name, "its name")->type_name("NAME")->required();
  add("path", "where a model lies; without a name, where models are kept", path)->add_option("name", *name, "its name")->type_name("NAME");
}

}  // namespace fovea::cli
