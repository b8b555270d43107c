// The page at "/": its files as replies, and the numbers that it shows as JSON (docs/serve.md).
#pragma once

#include <memory>
#include <string_view>

#include "serve/http.h"
#include "serve/page_files.h"
#include "serve/service.h"

namespace fovea::serve {

const PageFile* page_file(std::string_view path);  // null: there is none of this path
HttpResponse page_response(const PageFile& file, const HttpRequest& request);

// What the page has to know before it can ask for anything.
nlohmann::ordered_json page_info(const Service& service);

}  // namespace fovea::serve
