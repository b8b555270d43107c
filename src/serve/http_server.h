// HTTP/1.1 over plain TCP, with limits for everything that a client decides.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fovea/server.h"
#include "serve/http.h"

namespace fovea::serve {

// How one request went, for logs.
struct HttpOutcome {
  uint64_t id = 0;
  std::string method, path;
  int status = 0;  // 0: the client left before there was one
  bool gone = false;
  double seconds = 0;
};

struct HttpHooks {
  HttpHandler handle;
  // For a request whose body is still to come, on the thread of run(): what it is answered at once, without its body being read.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> refused_by_head;
  std::function<HttpResponse(int status, std::string message)> refusal;  // for what never becomes a request
  std::function<void(const HttpOutcome&)> done;                          // on the thread of run()
};

// One thread moves bytes, two workers handle requests. A client that goes away, reads too slowly or sends too slowly or too much
// costs its connection.
//
// threads  run() on one; post() and the stops from any
class HttpServer {
 public:
  // Listens from here on. errors: Error when the address cannot be bound
  HttpServer(const std::string& address, int port, const ServerLimits& limits, HttpHooks hooks);
  ~HttpServer();

  int port() const;
  void run();                                              // until stop()
  void post(std::function<void()> work);                   // on the thread of run()
  void work(std::function<void()> work);                   // on one of those that handle requests
  void every(double seconds, std::function<void()> work);  // likewise, again and again
  int under_way() const;                                   // requests without their whole reply; on the thread of run()
  void stop_listening();                                   // connections stay, until they have their reply
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::serve
