// A client that sends exactly what a test says, well-formed or not.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fovea::testing_support {

struct HttpAnswer {
  int status = 0;                              // 0: the connection ended before there was one
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpConnection {
 public:
  // receive_bytes: what the system may hold of what is not read; 0: as it likes
  explicit HttpConnection(int port, int receive_bytes = 0) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_bytes > 0) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~HttpConnection() { close(socket_); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  bool connected() const { return connected_; }

  // False: the other side is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void finish_sending() { shutdown(socket_, SHUT_WR); }
  bool post(const std::string& path, const std::string& body, const std::string& headers = "") {
    return send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
  }
  bool get(const std::string& path, const std::string& headers = "") {
    return send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
  }

  // The next answer; of one in chunks, all of them.
  HttpAnswer read(bool has_body = true) {
    HttpAnswer answer;
    const size_t head = until("\r\n\r\n", 0);
    if (head == std::string::npos) return answer;
    answer.status = std::stoi(pending_.substr(pending_.find(' ') + 1));
    for (size_t at = pending_.find("\r\n") + 2; at < head;) {
      const size_t end = pending_.find("\r\n", at), colon = pending_.find(':', at);
      std::string name = pending_.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      answer.headers[name] = pending_.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    pending_.erase(0, head + 4);
    if (answer.status == 100 || !has_body) return answer;
    if (answer.headers.contains("transfer-encoding")) answer.body = read_chunks();
    else if (answer.headers.contains("content-length")) answer.body = take(std::stoul(answer.headers["content-length"]));
    else {
      while (more()) {
      }
      answer.body = take(pending_.size());
    }
    return answer;
  }

  // What has come, at least one byte if any comes; empty: the connection has ended.
  std::string read_some() {
    if (pending_.empty()) more();
    return take(pending_.size());
  }
  bool ended() { return pending_.empty() && !more(); }

 private:
  bool more() {
    pollfd ready = {socket_, POLLIN, 0};
    if (poll(&ready, 1, 60'000) <= 0) throw std::runtime_error("nothing came for a minute");
    char bytes[1 << 14];
    const ssize_t got = recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    pending_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  size_t until(std::string_view end, size_t from) {
    size_t found;
    while ((found = pending_.find(end, from)) == std::string::npos) {
      if (!more()) return std::string::npos;
    }
    return found;
  }
  std::string take(size_t bytes) {
    while (pending_.size() < bytes && more()) {
    }
    std::string taken = pending_.substr(0, bytes);
    pending_.erase(0, taken.size());
    return taken;
  }
  std::string read_chunks() {
    std::string body;
    while (true) {
      const size_t line = until("\r\n", 0);
      if (line == std::string::npos) return body;
      const size_t size = std::stoul(pending_.substr(0, line), nullptr, 16);
      pending_.erase(0, line + 2);
      body += take(size);
      take(2);
      if (size == 0) return body;
    }
  }

  int socket_;
  bool connected_ = false;
  std::string pending_;
};

}  // namespace fovea::testing_support
