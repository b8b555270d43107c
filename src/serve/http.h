// Requests and replies of HTTP, without the library that carries them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea::serve {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  uint64_t id = 0;     // of this request, in logs and in the header X-Request-Id
  std::string method;  // "POST"
  std::string path;    // "/v1/models": without the query
  Headers headers;     // names in lower case
  std::string body;

  std::string_view header(std::string_view lower_case_name) const {  // empty: absent
    for (const auto& [name, value] : headers) {
      if (name == lower_case_name) return value;
    }
    return {};
  }
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  Headers headers = {};
};

// The way back to one client: either send(), or open(), write()* and close().
// threads  every method may be called from any thread; the order of calls is kept. What comes after the client has gone is dropped
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void send(HttpResponse response) = 0;
  virtual void open(HttpResponse head) = 0;  // its body is not sent
  virtual void write(std::string piece) = 0;
  virtual void close() = 0;
  // Called on the server's thread, once, if the client leaves before it has everything; at once if it has left.
  virtual void when_gone(std::function<void()> gone) = 0;
};

// Called on one of the server's worker threads. Has to reply, then or later; throwing costs the client its connection.
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<Reply>)>;

}  // namespace fovea::serve
