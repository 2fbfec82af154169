#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace wattle::inline pull {

struct HttpOptions {
  std::string token;  ///< sent as a bearer token to the host of the URL asked for, to no other; may be empty
  int tries = 5;      ///< of a request that the server or the line failed
  double first_wait = 0.5;  ///< seconds before the second try; each further wait is twice as long
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< by their names in lower case
  std::string body;                            ///< of get(), and of what refused a download

  /// Empty when there is no such header.
  std::string header(const std::string& lower_case_name) const;
  bool ok() const { return status == 200 || status == 206; }
};

/// Requests to web servers with bounded patience: a connection that breaks off, 429 and 5xx are tried again
/// after a wait (Retry-After is honoured up to a minute); a server that cannot be reached at all is not. Any
/// other status is the caller's to read. Redirects are followed, five at most, never from https to http.
class Http {
 public:
  explicit Http(HttpOptions options) : options_(std::move(options)) {}

  /// HEAD; a redirect that leaves the host is returned, not followed.
  HttpAnswer head(const std::string& url) const;
  /// GET of a text of at most 64 MiB.
  HttpAnswer get(const std::string& url) const;
  /// Appends what is missing of `url` to the file `partial` (RFC 9110, Range). `bytes` is the file's whole
  /// length, 0 when unknown; `progress` hears the bytes done and that length. What arrived stays in `partial`
  /// when this throws.
  HttpAnswer download(const std::string& url, const std::filesystem::path& partial, uint64_t bytes,
                      const std::function<void(size_t done, size_t total)>& progress) const;

 private:
  struct Request;
  struct Attempt;
  class Receiver;
  Attempt perform(Request& request) const;
  Attempt attempt(Request& request, const std::string& url, bool with_token) const;
  HttpAnswer answer(Request& request) const;

  HttpOptions options_;
};

/// A path for a URL: every byte that RFC 3986 does not leave unreserved becomes %XX, except '/'.
std::string url_path(const std::string& path);

}  // namespace wattle::inline pull
