#include "fovea/conversion.h"

#include "conversion/folder_vocabulary.h"
#include "conversion/gguf_form.h"
#include "conversion/tensor_bytes.h"
#include "conversion/weight_formats.h"
#include "files/gguf_writer.h"
#include "files/hugging_face.h"
#include "fovea/error.h"

namespace fovea {
namespace {

void refuse_what_is_lost(const conversion::GgufForm& form, const std::string& folder) {
  if (form.lost.empty()) return;
  const bool window = form.lost.find("window") != std::string::npos;
  throw Error("a GGUF of the architecture '" + form.architecture + "' cannot say " + form.lost + ": it would compute something else",
              folder,
              window ? "run the folder itself, or convert with --no-window, which is the same up to the window" : "run the folder itself");
}

files::GgufHeader header_of(const conversion::GgufForm& form, const std::optional<conversion::FolderVocabulary>& vocabulary) {
  files::GgufHeader header;
  header.keys = form.keys;
  for (files::GgufKey& key : conversion::tokenizer_keys(vocabulary)) header.keys.push_back(std::move(key));
  for (const conversion::PlannedTensor& planned : form.tensors) header.tensors.push_back(planned.tensor);
  return header;
}

int64_t values_of(const files::GgufTensor& tensor) {
  int64_t values = 1;
  for (const int64_t extent : tensor.shape) values *= extent;
  return values;
}

}  // namespace

ConvertedModel convert_model(const std::string& folder, const std::string& path, const ConversionOptions& options,
                             const Progress& progress) {
  const files::ModelFiles source = files::open_hugging_face(folder);
  const conversion::GgufForm form = conversion::gguf_form(source, conversion::weight_formats(options.quant), options.no_window);
  refuse_what_is_lost(form, folder);
  const auto vocabulary = conversion::folder_vocabulary(source, form.spec.vocabulary, options.pre_tokenizer);

  files::GgufWriter file(path, header_of(form, vocabulary));
  ThreadPool pool(options.threads > 0 ? options.threads : usable_processors());
  ConvertedModel made{
      form.name, form.architecture, vocabulary ? vocabulary->vocabulary.model : "", 0, 0, static_cast<int64_t>(file.file_bytes())};
  int64_t done = 0;
  for (const conversion::PlannedTensor& planned : form.tensors) {
    conversion::make_tensor(planned, pool, [&](std::span<const std::byte> bytes) {
      file.write(bytes);
      done += static_cast<int64_t>(bytes.size());
      if (progress && !progress("converting weights", done, made.file_bytes)) throw Stopped();
    });
    for (const files::Tensor* tensor : planned.sources) source.forget(tensor->bytes);
    made.tensors += 1;
    made.values += values_of(planned.tensor);
  }
  file.finish();
  return made;
}

}  // namespace fovea
