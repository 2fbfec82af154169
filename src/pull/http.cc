#include "pull/http.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/utf8.h"

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

constexpr int kRedirects = 5;
constexpr size_t kTextLimit = size_t{64} << 20;
constexpr double kLongestWait = 60;
/// A try that brought so much was no failure: the count of tries begins anew.
constexpr uint64_t kProgress = uint64_t{16} << 20;

struct Url {
  std::string host;  ///< with scheme and port
  std::string path;
};

Url split(const std::string& url) {
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  const size_t slash = known ? url.find('/', url.find("://") + 3) : std::string::npos;
  if (slash == std::string::npos) fail("{}: is not a web address (http:// or https://)", url);
  return {url.substr(0, slash), url.substr(slash)};
}

std::string redirected(const Url& from, const std::string& location) {
  const std::string url = location.starts_with('/') ? from.host + location : location;
  if (from.host.starts_with("https:") && !split(url).host.starts_with("https:")) {
    fail("{}: redirects to {}, which is not encrypted", from.host, url);
  }
  return url;
}

uint64_t number_or_zero(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool worth_another_try(int status) {
  return status == 429 || (status >= 500 && status != 501 && status != 505);
}

bool never_connected(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::BindIPAddress:
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification:
    case httplib::Error::ConnectionTimeout:
      return true;
    default:
      return false;
  }
}

/// As std::this_thread::sleep_for, but Ctrl-C ends it.
void wait(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto until =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < until) {
    throw_if_interrupted();
    std::this_thread::sleep_for(
        std::min<Clock::duration>(until - Clock::now(), std::chrono::milliseconds(100)));
  }
}

/// The file that a download continues.
class Partial {
 public:
  Partial(fs::path path, uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {
    std::error_code code;
    if (have() > bytes_ && bytes_ > 0) fs::remove(path_, code);  // of another file
  }

  uint64_t have() const {
    std::error_code code;
    const auto size = fs::file_size(path_, code);
    return code ? 0 : size;
  }
  bool complete() const { return bytes_ > 0 && have() == bytes_; }
  uint64_t bytes() const { return bytes_; }
  const fs::path& path() const { return path_; }

  void open(bool append) {
    file_.reset(std::fopen(path_.c_str(), append ? "ab" : "wb"));
    if (!file_) fail("{}: cannot be written; choose a directory that can", path_.string());
  }
  void add(const char* bytes, size_t count) {
    if (std::fwrite(bytes, 1, count, file_.get()) != count) fail_to_write();
  }
  void close() {
    if (file_ && std::fclose(file_.release()) != 0) fail_to_write();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail_to_write() const { fail("{}: writing failed; free some space", path_.string()); }

  fs::path path_;
  uint64_t bytes_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// Ends a client's request when Ctrl-C is pressed while the other side is silent.
class InterruptWatch {
 public:
  explicit InterruptWatch(httplib::Client& client)
      : thread_([this, &client](const std::stop_token& over) {
          std::unique_lock lock(mutex_);
          while (!over.stop_requested()) {
            if (interrupted()) return client.stop();
            changed_.wait_for(lock, over, std::chrono::milliseconds(100), [] { return false; });
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

}  // namespace

struct Http::Request {
  std::string url;
  bool head = false;
  Partial* partial = nullptr;
  std::function<void(size_t, size_t)> progress = {};

  uint64_t have() const { return partial != nullptr ? partial->have() : 0; }
};

/// What one try came to.
struct Http::Attempt {
  HttpAnswer answer;
  std::string trouble;     ///< empty, or what went wrong that another try may mend
  bool connected = false;  ///< whether the server was reached
  uint64_t gained = 0;     ///< bytes of the file
};

std::string HttpAnswer::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string() : found->second;
}

/// Takes a response: into the request's file when it is (a part of) what was asked for, else as a text.
class Http::Receiver {
 public:
  Receiver(Request& request, Attempt& result) : request_(request), result_(result), have_(request.have()) {}

  uint64_t have() const { return have_; }

  bool begin(const httplib::Response& response) {
    HttpAnswer& answer = result_.answer;
    result_.connected = true;
    answer.status = response.status;
    for (const auto& [name, value] : response.headers) {
      answer.headers.emplace(lower_ascii(name), value);
    }
    to_file_ = request_.partial != nullptr && answer.ok();
    if (!to_file_) return true;
    const bool goes_on = answer.status == 206;
    other_part_ = goes_on && !answer.header("content-range").starts_with(fmt::format("bytes {}-", have_));
    if (other_part_) return false;
    done_ = goes_on ? have_ : 0;
    const uint64_t rest = number_or_zero(answer.header("content-length"));
    total_ = rest > 0 ? done_ + rest : request_.partial->bytes();
    return kept([&] { request_.partial->open(goes_on); });
  }

  bool add(const char* bytes, size_t count) {
    if (interrupted()) return false;
    if (!to_file_) {
      std::string& body = result_.answer.body;
      body.append(bytes, count);
      return body.size() <= kTextLimit;
    }
    if (!kept([&] { request_.partial->add(bytes, count); })) return false;
    done_ += count;
    result_.gained += count;
    if (request_.progress) request_.progress(done_, total_);
    return true;
  }

  /// What of it another try may mend. Error where none would.
  std::string trouble(const httplib::Result& sent, const std::string& host) {
    throw_if_interrupted();
    if (problem_) std::rethrow_exception(problem_);
    if (request_.partial != nullptr) request_.partial->close();
    if (result_.answer.body.size() > kTextLimit)
      fail("{}: is longer than {} MiB", request_.url, kTextLimit >> 20);
    if (worth_another_try(result_.answer.status))
      return fmt::format("{} answered {}", host, result_.answer.status);
    if (other_part_) {
      fs::remove(request_.partial->path());  // all of it, then
      return fmt::format("{} sent another part than it was asked for", host);
    }
    if (to_file_ && total_ > 0 && done_ != total_) {
      return fmt::format("{} broke off at {} of {} bytes", host, done_, total_);
    }
    if (sent) return {};
    result_.connected |= !never_connected(sent.error());
    return fmt::format("{} did not answer ({})", host, httplib::to_string(sent.error()));
  }

 private:
  /// Errors do not travel through the client's frames: trouble() throws them.
  template <typename Step>
  bool kept(Step step) {
    try {
      step();
    } catch (const Error&) {
      problem_ = std::current_exception();
    }
    return !problem_;
  }

  Request& request_;
  Attempt& result_;
  uint64_t have_, done_ = 0, total_ = 0;
  bool to_file_ = false, other_part_ = false;
  std::exception_ptr problem_;
};

Http::Attempt Http::attempt(Request& request, const std::string& url, bool with_token) const {
  const Url parts = split(url);
  httplib::Client client(parts.host);
  client.set_connection_timeout(10);
  client.set_read_timeout(30);
  client.set_url_encode(false);
  Attempt result;
  Receiver receiver(request, result);
  httplib::Headers headers = {{"Accept-Encoding", "identity"}, {"User-Agent", "wattle"}};
  if (with_token && !options_.token.empty()) headers.emplace("Authorization", "Bearer " + options_.token);
  if (receiver.have() > 0) headers.emplace("Range", fmt::format("bytes={}-", receiver.have()));
  const auto on_response = [&](const httplib::Response& response) { return receiver.begin(response); };
  const auto on_bytes = [&](const char* bytes, size_t count) { return receiver.add(bytes, count); };
  const InterruptWatch watch(client);
  const httplib::Result sent = request.head ? client.Head(parts.path, headers)
                                            : client.Get(parts.path, headers, on_response, on_bytes);
  if (request.head && sent) receiver.begin(*sent);
  result.trouble = receiver.trouble(sent, parts.host);
  return result;
}

/// A request with the redirects that it leads through.
Http::Attempt Http::perform(Request& request) const {
  const std::string host = split(request.url).host;
  std::string url = request.url;
  for (int redirects = 0; redirects <= kRedirects; ++redirects) {
    const Url parts = split(url);
    Attempt result = attempt(request, url, parts.host == host);
    const std::string location = result.answer.header("location");
    const int status = result.answer.status;
    if (!result.trouble.empty() || status < 300 || status >= 400 || location.empty()) return result;
    url = redirected(parts, location);
    if (request.head && split(url).host != parts.host) return result;
  }
  fail("{}: too many redirects", request.url);
}

HttpAnswer Http::answer(Request& request) const {
  bool connected = false;
  double pause = options_.first_wait;
  for (int tries = 1;; ++tries) {
    const Attempt result = perform(request);
    if (result.trouble.empty()) return result.answer;
    connected |= result.connected;
    if (result.gained >= kProgress) tries = 1, pause = options_.first_wait;
    if (!connected) fail("{}", result.trouble);
    if (tries >= options_.tries) fail("{}, {} times in a row; try again later", result.trouble, tries);
    const auto asked = static_cast<double>(number_or_zero(result.answer.header("retry-after")));
    wait(std::max(pause, std::min(asked, kLongestWait)));
    pause = std::min(2 * pause, kLongestWait);
  }
}

HttpAnswer Http::head(const std::string& url) const {
  Request request{.url = url, .head = true};
  return answer(request);
}

HttpAnswer Http::get(const std::string& url) const {
  Request request{.url = url};
  return answer(request);
}

HttpAnswer Http::download(const std::string& url, const fs::path& path, uint64_t bytes,
                          const std::function<void(size_t, size_t)>& progress) const {
  Partial partial(path, bytes);
  if (partial.complete()) return {200, {}, {}};
  Request request{.url = url, .partial = &partial, .progress = progress};
  HttpAnswer result = answer(request);
  // Nothing is left to send: the file was complete. Its checksum says whether it is the right one.
  if (result.status == 416 && partial.have() > 0) result.status = 200;
  return result;
}

std::string url_path(const std::string& path) {
  std::string quoted;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    quoted += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return quoted;
}

}  // namespace wattle::inline pull
