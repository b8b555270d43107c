#include "serve/http_server.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "fovea/error.h"

namespace fovea::serve {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = net::ip::tcp;
using namespace net::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;

constexpr int kWorkers = 2;
constexpr double kLingerSeconds = 1;  // for a refused client to read why, before the connection is reset
using Parser = http::request_parser<http::string_body>;
constexpr auto kAwait = net::as_tuple(net::use_awaitable);

std::chrono::milliseconds milliseconds(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)); }

// What one request is answered with, as it comes. Lives on the thread of run(); the methods of Reply go there first.
class Exchange : public Reply, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(net::io_context& io, size_t most_unsent) : io_(io), changed_(io, Clock::time_point::max()), most_unsent_(most_unsent) {}

  void send(HttpResponse response) override {
    later([this, response = std::move(response)]() mutable {
      head = std::move(response);
      has_head = closed = true;
    });
  }
  void open(HttpResponse response) override {
    later([this, response = std::move(response)]() mutable {
      head = std::move(response);
      has_head = streams = true;
    });
  }
  void write(std::string piece) override {
    later([this, piece = std::move(piece)]() mutable {
      if (piece.empty() || overflowed || finished) return;
      unsent += piece.size();
      pieces.push_back(std::move(piece));
      if (unsent > most_unsent_) overflow();
    });
  }
  void close() override {
    later([this] { closed = true; });
  }
  void when_gone(std::function<void()> callback) override {
    later([this, callback = std::move(callback)] {
      if (gone) callback();
      else if (!finished) on_gone_.push_back(callback);
    });
  }

  // on_overflow: called once, when more waits than may, and never after finish().
  void watch(std::function<void()> on_overflow) { on_overflow_ = std::move(on_overflow); }
  void lose() {
    later([this] { overflow(); });
  }
  net::awaitable<void> change() { co_await changed_.async_wait(kAwait); }
  void finish(bool client_left) {
    finished = true;
    gone = client_left;
    std::vector<std::function<void()>> callbacks;
    callbacks.swap(on_gone_);
    pieces.clear();
    on_overflow_ = {};
    if (gone) {
      for (const auto& callback : callbacks) callback();
    }
  }

  HttpResponse head;
  bool has_head = false, streams = false, closed = false;
  bool overflowed = false;  // the client reads too slowly, or there was no memory for it
  bool finished = false, gone = false;
  std::deque<std::string> pieces;
  size_t unsent = 0;

 private:
  template <typename Work> void later(Work work) {
    net::post(io_, [self = shared_from_this(), work = std::move(work)]() mutable {
      try {
        work();
      } catch (const std::exception&) {  // no memory, say: this reply is lost, and the server goes on
        self->overflow();
      }
      self->changed_.cancel();
    });
  }
  void overflow() {
    overflowed = true;
    pieces.clear();
    if (const auto told = std::exchange(on_overflow_, {})) told();
  }

  net::io_context& io_;
  net::steady_timer changed_;  // never expires; cancelled when something changed
  size_t most_unsent_;
  std::vector<std::function<void()>> on_gone_;
  std::function<void()> on_overflow_;
};

// One more, while it lives.
class Counted {
 public:
  explicit Counted(int& count) : count_(++count) {}
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  int& count_;
};

// A connection, while it is there.
class Registered {
 public:
  Registered(std::map<beast::tcp_stream*, bool>& all, beast::tcp_stream& stream) : all_(all), stream_(&stream) { all_[stream_] = false; }
  ~Registered() { all_.erase(stream_); }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 private:
  std::map<beast::tcp_stream*, bool>& all_;
  beast::tcp_stream* stream_;
};

HttpRequest head_of(const http::request<http::string_body>& message) {
  HttpRequest head;
  head.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  head.path = std::string(target.substr(0, target.find('?')));
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    head.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  return head;
}

template <typename Message> void set_head(Message& message, const HttpResponse& response, uint64_t id) {
  if (!response.content_type.empty()) message.set(http::field::content_type, response.content_type);
  if (id > 0) message.set("X-Request-Id", fmt::format("{}", id));
  for (const auto& [name, value] : response.headers) message.set(name, value);
}

}  // namespace

struct HttpServer::State {
  State(const std::string& address, int wanted_port, const ServerLimits& the_limits, HttpHooks the_hooks)
      : limits(the_limits), hooks(std::move(the_hooks)), acceptor(io) {
    listen(address, wanted_port);
  }

  void listen(const std::string& address, int port);
  net::awaitable<void> accept();
  net::awaitable<void> serve(beast::tcp_stream stream);
  net::awaitable<void> refuse(beast::tcp_stream& stream, int status, std::string message);
  net::awaitable<void> refuse(beast::tcp_stream& stream, HttpResponse refusal, HttpRequest head);
  net::awaitable<boost::system::error_code> read_body(beast::tcp_stream& stream, beast::flat_buffer& buffer, Parser& parser);
  net::awaitable<bool> converse(beast::tcp_stream& stream, http::request<http::string_body> message);
  net::awaitable<bool> deliver(beast::tcp_stream& stream, Exchange& exchange, uint64_t id, bool is_head, bool keep_alive, unsigned version);
  net::awaitable<bool> deliver_pieces(beast::tcp_stream& stream, Exchange& exchange, uint64_t id, bool keep_alive, unsigned version);
  static net::awaitable<void> until_gone(beast::tcp_stream& stream);
  net::awaitable<void> linger(beast::tcp_stream& stream);
  net::awaitable<void> repeat(double seconds, std::function<void()> work);

  const ServerLimits limits;
  const HttpHooks hooks;
  int port = 0;
  int under_way = 0;
  std::map<beast::tcp_stream*, bool> connections;  // true: a request is under way
  bool listening = true;
  uint64_t next_id = 1;
  net::io_context io{1};  // after what its coroutines refer to
  net::thread_pool workers{kWorkers};
  Tcp::acceptor acceptor;
};

void HttpServer::State::listen(const std::string& address, int wanted_port) {
  boost::system::error_code failure;
  const auto ip = net::ip::make_address(address, failure);
  if (failure) throw Error("'" + address + "' is no address", "--host", "give one such as 127.0.0.1, ::1 or 0.0.0.0");
  const Tcp::endpoint endpoint(ip, static_cast<uint16_t>(wanted_port));
  acceptor.open(endpoint.protocol());
  acceptor.set_option(Tcp::acceptor::reuse_address(true));
  acceptor.bind(endpoint, failure);
  if (!failure) acceptor.listen(net::socket_base::max_listen_connections, failure);
  if (failure) {
    throw Error("cannot listen: " + failure.message(), fmt::format("{}, port {}", address, wanted_port),
                "choose another --port, or end the program that has it");
  }
  port = acceptor.local_endpoint().port();
}

net::awaitable<void> HttpServer::State::accept() {
  net::steady_timer pause(io);
  while (listening) {
    auto [failure, socket] = co_await acceptor.async_accept(kAwait);
    if (!listening) co_return;
    if (failure) {  // no descriptors left, say: those that are served will give some back
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(kAwait);
      continue;
    }
    boost::system::error_code ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    net::co_spawn(io, serve(beast::tcp_stream(std::move(socket))), net::detached);
  }
}

// Ends the connection after the client had the chance to read what was sent.
net::awaitable<void> HttpServer::State::linger(beast::tcp_stream& stream) {
  boost::system::error_code ignored;
  stream.socket().shutdown(Tcp::socket::shutdown_send, ignored);
  stream.expires_after(milliseconds(kLingerSeconds));
  std::vector<char> discarded(16 << 10);
  while (true) {
    const auto [failure, bytes] = co_await stream.async_read_some(net::buffer(discarded), kAwait);
    if (failure || bytes == 0) break;
  }
  stream.socket().close(ignored);
}

net::awaitable<void> HttpServer::State::refuse(beast::tcp_stream& stream, int status, std::string message) {
  HttpResponse refusal = hooks.refusal(status, std::move(message));
  HttpRequest unknown;
  co_await refuse(stream, std::move(refusal), std::move(unknown));
}

net::awaitable<void> HttpServer::State::refuse(beast::tcp_stream& stream, HttpResponse refusal, HttpRequest head) {
  http::response<http::string_body> response(http::int_to_status(static_cast<unsigned>(refusal.status)), 11);
  set_head(response, refusal, head.id);
  response.keep_alive(false);
  response.body() = std::move(refusal.body);
  response.prepare_payload();
  stream.expires_after(milliseconds(limits.write_seconds));
  co_await http::async_write(stream, response, kAwait);
  hooks.done({head.id, std::move(head.method), std::move(head.path), refusal.status, false, 0});
  co_await linger(stream);
}

net::awaitable<boost::system::error_code> HttpServer::State::read_body(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                                                       Parser& parser) {
  stream.expires_after(milliseconds(limits.body_seconds));
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
    co_await http::async_write(stream, go_on, kAwait);
  }
  const auto [failure, bytes] = co_await http::async_read(stream, buffer, parser, kAwait);
  co_return failure;
}

net::awaitable<void> HttpServer::State::serve(beast::tcp_stream stream) {
  const Registered registered(connections, stream);
  if (static_cast<int>(connections.size()) > limits.connections) {
    co_return co_await refuse(stream, 503, fmt::format("{} connections are open, which is as many as may be", limits.connections));
  }
  beast::flat_buffer buffer(static_cast<size_t>(limits.header_bytes) + (64 << 10));
  while (listening) {
    Parser parser;
    parser.header_limit(static_cast<uint32_t>(limits.header_bytes));
    parser.body_limit(static_cast<uint64_t>(limits.body_bytes));
    stream.expires_after(milliseconds(limits.idle_seconds));
    auto [bad_head, head_bytes] = co_await http::async_read_header(stream, buffer, parser, kAwait);
    boost::system::error_code failure = bad_head;
    if (!failure && !parser.is_done()) {
      HttpRequest head = head_of(parser.get());
      head.id = next_id;
      if (std::optional<HttpResponse> refusal = hooks.refused_by_head(head)) {
        ++next_id;
        co_return co_await refuse(stream, std::move(*refusal), std::move(head));
      }
      failure = co_await read_body(stream, buffer, parser);
    }
    if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
      co_return co_await refuse(stream, 431, fmt::format("the header has more than {} bytes", limits.header_bytes));
    }
    if (failure == http::error::body_limit) {
      co_return co_await refuse(stream, 413, fmt::format("the body has more than {} bytes", limits.body_bytes));
    }
    if (failure == http::error::end_of_stream || failure == beast::error::timeout || failure == http::error::partial_message) co_return;
    if (failure.category() == http::make_error_code(http::error::bad_method).category()) {
      co_return co_await refuse(stream, 400, "this is not HTTP: " + failure.message());
    }
    if (failure) co_return;  // the connection is gone
    if (!co_await converse(stream, parser.release())) co_return;
  }
}

// One request and its reply. False: the connection ends.
net::awaitable<bool> HttpServer::State::converse(beast::tcp_stream& stream, http::request<http::string_body> message) {
  const auto begin = Clock::now();
  const Counted counted(under_way);
  connections[&stream] = true;
  HttpRequest request = head_of(message);
  request.id = next_id++;
  request.body = std::move(message.body());
  HttpOutcome outcome{request.id, request.method, request.path, 0, false, 0};
  const bool is_head = message.method() == http::verb::head;
  const auto exchange = std::make_shared<Exchange>(io, static_cast<size_t>(limits.unsent_bytes));
  net::post(workers, [this, exchange, request = std::move(request)]() mutable {
    try {
      hooks.handle(std::move(request), exchange);
    } catch (const std::exception&) {
      exchange->lose();
    }
  });
  exchange->watch([&stream] { stream.close(); });  // to cancel would miss a write that is between two of its parts
  stream.expires_never();
  const auto ended =
      co_await (deliver(stream, *exchange, outcome.id, is_head, message.keep_alive(), message.version()) || until_gone(stream));
  const bool all_sent = ended.index() == 0 && exchange->closed && !exchange->overflowed && exchange->pieces.empty();
  const bool goes_on = ended.index() == 0 && std::get<0>(ended);
  exchange->finish(!all_sent);
  outcome.status = exchange->has_head ? exchange->head.status : 0;
  outcome.gone = !all_sent;
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  hooks.done(outcome);
  if (!goes_on) {
    boost::system::error_code ignored;
    stream.socket().shutdown(Tcp::socket::shutdown_both, ignored);
    stream.socket().close(ignored);
  }
  connections[&stream] = false;
  co_return goes_on;
}

// Returns when the client has closed its side, and never while it has sent something that is not read yet.
net::awaitable<void> HttpServer::State::until_gone(beast::tcp_stream& stream) {
  const auto [failure] = co_await stream.socket().async_wait(Tcp::socket::wait_read, kAwait);
  boost::system::error_code unknown;
  if (failure || stream.socket().available(unknown) == 0 || unknown) co_return;
  net::steady_timer never(stream.get_executor(), Clock::time_point::max());  // the next request of a pipeline waits
  co_await never.async_wait(kAwait);
}

// True: the connection may carry another request. Does not throw, so that waiting for either of two ends.
net::awaitable<bool> HttpServer::State::deliver(beast::tcp_stream& stream, Exchange& exchange, uint64_t id, bool is_head, bool keep_alive,
                                                unsigned version) {
  try {
    while (!exchange.has_head && !exchange.overflowed) co_await exchange.change();
    if (!exchange.has_head) co_return false;
    if (exchange.streams) co_return co_await deliver_pieces(stream, exchange, id, keep_alive, version);
    http::response<http::string_body> response(http::int_to_status(static_cast<unsigned>(exchange.head.status)), version);
    set_head(response, exchange.head, id);
    response.keep_alive(keep_alive && listening);
    const std::string& body = exchange.head.body;
    if (is_head) response.content_length(body.size());
    else response.body() = body, response.prepare_payload();
    stream.expires_after(milliseconds(limits.write_seconds));
    http::response_serializer<http::string_body> serializer(response);
    if (is_head) serializer.split(true);
    const auto [failure, bytes] =
        is_head ? co_await http::async_write_header(stream, serializer, kAwait) : co_await http::async_write(stream, serializer, kAwait);
    if (failure) exchange.overflowed = true;
    co_return !failure && response.keep_alive();
  } catch (const std::exception&) {  // the other side of the race was faster
    co_return false;
  }
}

net::awaitable<bool> HttpServer::State::deliver_pieces(beast::tcp_stream& stream, Exchange& exchange, uint64_t id, bool keep_alive,
                                                       unsigned version) {
  http::response<http::empty_body> response(http::int_to_status(static_cast<unsigned>(exchange.head.status)), version);
  set_head(response, exchange.head, id);
  const bool chunks = version >= 11;
  response.keep_alive(keep_alive && chunks && listening);
  response.chunked(chunks);
  http::response_serializer<http::empty_body> serializer(response);
  stream.expires_after(milliseconds(limits.write_seconds));
  auto [failure, bytes] = co_await http::async_write_header(stream, serializer, kAwait);
  while (!failure && !exchange.overflowed) {
    if (exchange.pieces.empty()) {
      if (exchange.closed) break;
      stream.expires_never();
      co_await exchange.change();
      continue;
    }
    std::string all;  // what gathered while the last was written
    for (const std::string& piece : exchange.pieces) all += piece;
    exchange.pieces.clear();
    stream.expires_after(milliseconds(limits.write_seconds));
    if (chunks) std::tie(failure, bytes) = co_await net::async_write(stream, http::make_chunk(net::buffer(all)), kAwait);
    else std::tie(failure, bytes) = co_await net::async_write(stream, net::buffer(all), kAwait);
    exchange.unsent -= std::min(exchange.unsent, all.size());
  }
  if (!failure && chunks && !exchange.overflowed)
    std::tie(failure, bytes) = co_await net::async_write(stream, http::make_chunk_last(), kAwait);
  if (failure) exchange.overflowed = true;
  co_return !failure && !exchange.overflowed && response.keep_alive();
}

net::awaitable<void> HttpServer::State::repeat(double seconds, std::function<void()> work) {
  net::steady_timer timer(io);
  while (true) {
    timer.expires_after(milliseconds(seconds));
    co_await timer.async_wait(kAwait);
    work();
  }
}

HttpServer::HttpServer(const std::string& address, int port, const ServerLimits& limits, HttpHooks hooks)
    : state_(std::make_unique<State>(address, port, limits, std::move(hooks))) {}

HttpServer::~HttpServer() {
  state_->workers.stop();
  state_->workers.join();
}

int HttpServer::port() const { return state_->port; }

void HttpServer::run() {
  net::co_spawn(state_->io, state_->accept(), net::detached);
  state_->io.run();
  state_->workers.stop();
  state_->workers.join();
}

void HttpServer::post(std::function<void()> work) {
  net::post(state_->io, [work = std::move(work)] {
    try {
      work();
    } catch (const std::exception&) {  // one client's trouble is not everybody's end
    }
  });
}

void HttpServer::work(std::function<void()> work) {
  net::post(state_->workers, [work = std::move(work)] {
    try {
      work();
    } catch (const std::exception&) {  // likewise
    }
  });
}

void HttpServer::every(double seconds, std::function<void()> work) {
  net::co_spawn(state_->io, state_->repeat(seconds, std::move(work)), net::detached);
}

void HttpServer::stop_listening() {
  post([this] {
    state_->listening = false;
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
    for (const auto& [stream, busy] : state_->connections) {
      if (!busy) stream->cancel();
    }
  });
}

int HttpServer::under_way() const { return state_->under_way; }

void HttpServer::stop() { state_->io.stop(); }

}  // namespace fovea::serve
