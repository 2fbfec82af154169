#include "pull/hub_api.h"

#include <algorithm>
#include <charconv>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "pull/hub_cache.h"

namespace wattle::inline pull {
namespace {

std::string without_end_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

/// `W/"abc"` -> `abc`.
std::string plain_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  return etag;
}

/// An ETag becomes a file's name.
bool is_file_name(const std::string& etag) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  return !etag.empty() && etag.size() <= 128 && etag.front() != '.' &&
         std::all_of(etag.begin(), etag.end(), plain);
}

HubFile read_file_entry(const JsonView& entry, const std::string& origin) {
  HubFile file;
  file.path = entry.text("rfilename").value_or("");
  if (!is_inner_path(file.path)) {
    fail("{}: lists the file '{}', which would lie outside its folder; the hub is hostile", origin,
         file.path);
  }
  file.bytes = static_cast<uint64_t>(std::max<int64_t>(0, entry.integer("size").value_or(0)));
  const std::string sha1 = entry.text("blobId").value_or("");
  const std::string sha256 = entry.child("lfs").text("sha256").value_or("");
  if (is_hex(sha256, 64)) {
    file.sha256 = sha256;
  } else if (is_hex(sha1, 40)) {
    file.sha1 = sha1;
  }
  return file;
}

}  // namespace

Hub::Hub(const std::string& endpoint, const HttpOptions& options)
    : endpoint_(without_end_slash(endpoint)),
      host_(endpoint_.substr(std::min(endpoint_.size(), endpoint_.find("://") + 3))),
      has_token_(!options.token.empty()),
      http_(options) {
  if (!endpoint_.starts_with("http://") && !endpoint_.starts_with("https://")) {
    fail("{}: is no web address of a hub; set HF_ENDPOINT to one such as https://huggingface.co", endpoint);
  }
}

std::string Hub::file_url(const Repository& repository, const std::string& commit,
                          const std::string& path) const {
  return fmt::format("{}/{}/resolve/{}/{}", endpoint_, url_path(repository.name), commit, url_path(path));
}

Hub::Listing Hub::list(const Repository& repository) const {
  // One path segment: the hub takes the slash of a revision such as refs/pr/1 as %2F.
  std::string revision = url_path(repository.revision);
  for (size_t slash = 0; (slash = revision.find('/')) != std::string::npos;)
    revision.replace(slash, 1, "%2F");
  const HttpAnswer answer = http_.get(
      fmt::format("{}/api/models/{}/revision/{}?blobs=true", endpoint_, url_path(repository.name), revision));
  if (!answer.ok()) refuse(repository, answer, "its list of files");
  const std::string origin = fmt::format("{}: the answer of {}", repository.name, host_);
  const nlohmann::json json = parse_json(answer.body, origin);
  const JsonView model(&json, origin);
  Listing listing;
  listing.commit = model.text("sha").value_or("");
  if (!is_hex(listing.commit, 40)) fail("{} names no commit; it is not a hub", origin);
  const nlohmann::json* files = model.find("siblings");
  if (files == nullptr || !files->is_array()) fail("{} lists no files; it is not a hub", origin);
  for (const auto& entry : *files) listing.files.push_back(read_file_entry(JsonView(&entry, origin), origin));
  return listing;
}

Hub::FileFacts Hub::facts(const Repository& repository, const std::string& commit,
                          const std::string& path) const {
  const HttpAnswer answer = http_.head(file_url(repository, commit, path));
  if (answer.status >= 400) refuse(repository, answer, path);
  const bool redirect = answer.status >= 300;
  FileFacts facts;
  std::string etag = answer.header("x-linked-etag"), bytes = answer.header("x-linked-size");
  if (etag.empty()) etag = answer.header("etag");
  if (bytes.empty() && !redirect) bytes = answer.header("content-length");
  if (const std::string plain = plain_etag(etag); is_file_name(plain)) facts.etag = plain;
  std::from_chars(bytes.data(), bytes.data() + bytes.size(), facts.bytes);
  return facts;
}

void Hub::download(const Repository& repository, const std::string& commit, const std::string& path,
                   const std::filesystem::path& partial, uint64_t bytes,
                   const std::function<void(size_t, size_t)>& progress) const {
  const HttpAnswer answer = http_.download(file_url(repository, commit, path), partial, bytes, progress);
  if (!answer.ok()) refuse(repository, answer, path);
}

void Hub::refuse(const Repository& repository, const HttpAnswer& answer, const std::string& what) const {
  const std::string code = answer.header("x-error-code"), message = answer.header("x-error-message");
  const std::string& name = repository.name;
  const int status = answer.status;
  if (status == 401 && message.find("nvalid credentials") != std::string::npos) {
    fail("{} does not know the token in HF_TOKEN; make a new one at {}/settings/tokens", host_, endpoint_);
  }
  if (code == "GatedRepo" || (status == 403 && code.empty())) {
    fail("{}: is given only to those who accept its terms; accept them at {}/{}, then {}", name, endpoint_,
         name,
         has_token_ ? "pull again: the token in HF_TOKEN must be of the account that accepted"
                    : "set HF_TOKEN to a token of that account");
  }
  if (code == "RevisionNotFound") {
    fail("{}: has no branch, tag or commit '{}'; look at {}/{}", name, repository.revision, endpoint_, name);
  }
  if (code == "EntryNotFound") fail("{}: {} has no {}", name, host_, what);
  if (code == "RepoNotFound" || status == 404 || status == 401) {
    fail("{}: there is no such model at {}{}{}", name, host_,
         has_token_ ? "" : ", or it is private and needs a token in HF_TOKEN", near_names(name));
  }
  fail("{}: {} answered {} to the request for {}{}", name, host_, status, what,
       message.empty() ? "" : " (" + message.substr(0, 200) + ")");
}

/// What the hub's search finds under the name without its owner; nothing when that fails too.
std::string Hub::near_names(const std::string& name) const {
  try {
    const std::string word = name.substr(name.find('/') + 1);
    const HttpAnswer answer =
        http_.get(fmt::format("{}/api/models?search={}&limit=5", endpoint_, url_path(word)));
    if (!answer.ok()) return {};
    std::vector<std::string> names;
    for (const auto& model : parse_json(answer.body, host_)) {
      if (names.size() == 5) break;
      if (const auto id = JsonView(&model, host_).text("id")) names.push_back(*id);
    }
    return names.empty() ? "" : fmt::format("; names that come near are {}", fmt::join(names, ", "));
  } catch (const Error& error) {
    if (error.exit_status() == 130) throw;
    return {};
  }
}

}  // namespace wattle::inline pull
