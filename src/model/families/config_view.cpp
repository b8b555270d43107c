#include "model/families/config_view.h"

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::model {
namespace {

bool any_key_below(const files::Metadata& file, const std::string& prefix) {
  const auto first = file.values().lower_bound(prefix);
  return first != file.values().end() && first->first.starts_with(prefix);
}

}  // namespace

bool ConfigView::has_below(std::string_view name) const { return any_key_below(*file_, key(name) + "."); }

int ConfigView::checked_size(std::string_view name, int value, int most) const {
  if (value < 1 || value > most) {
    refuse(name, "is " + std::to_string(value) + ", expected 1 to " + std::to_string(most));
  }
  return value;
}

int ConfigView::size(std::string_view name, int most) const { return checked_size(name, file_->integer(key(name)), most); }

int ConfigView::size_or(std::string_view name, int fallback, int most) const {
  return checked_size(name, file_->integer(key(name), fallback), most);
}

std::vector<int> ConfigView::size_per_layer(std::string_view name, int layers) const {
  std::vector<int> sizes = file_->integer_per_layer(key(name), layers);
  for (const int size : sizes) checked_size(name, size, kLargestSize);
  return sizes;
}

float ConfigView::positive_or(std::string_view name, float fallback) const {
  const float value = file_->number(key(name), fallback);
  if (!(value > 0)) refuse(name, "is " + std::to_string(value) + ", expected a number above 0");
  return value;
}

float ConfigView::positive(std::string_view name) const { return positive_or(name, file_->number(key(name))); }

float ConfigView::not_negative_or(std::string_view name, float fallback) const {
  const float value = file_->number(key(name), fallback);
  if (!(value >= 0)) refuse(name, "is " + std::to_string(value) + ", expected 0 or more");
  return value;
}

std::string ConfigView::text_or_number(std::string_view name) const {
  const files::Value* value = file_->find(key(name));
  return value && std::holds_alternative<std::string>(*value) ? std::get<std::string>(*value) : "";
}

void ConfigView::refuse(std::string_view name, const std::string& problem) const {
  throw Error(problem, file_->source() + ", key " + files::in_quotes(key(name)),
              "the file is damaged or badly converted: fetch or convert it again");
}

void ConfigView::refuse_as_not_computed(std::string_view name, const std::string& problem) const {
  throw Error(problem + ", which this engine does not compute", file_->source() + ", key " + files::in_quotes(key(name)),
              "choose a model without it");
}

void ConfigView::refuse_flag(std::string_view name, const std::string& problem) const {
  if (flag(name, false)) refuse_as_not_computed(name, problem);
}

ConfigView gguf_view(const files::Metadata& metadata) { return {metadata, metadata.text("general.architecture") + "."}; }

ConfigView hugging_face_view(const files::Metadata& metadata) {
  return {metadata, any_key_below(metadata, "text_config.") ? "text_config." : ""};
}

}  // namespace fovea::model
