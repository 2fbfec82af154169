#include "cli/partial_output.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "base/output_file.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

fs::path with_end(fs::path path, const char* end) {
  path += end;
  return path;
}

}  // namespace

PartialOutput::PartialOutput(const fs::path& name, const nlohmann::ordered_json& identity)
    : name_(name),
      partial_(with_end(name, ".partial")),
      record_(with_end(name, ".partial.json")),
      identity_(identity) {
  OutputFile::check(name);
  if (fs::exists(partial_) && !fs::exists(record_)) {
    fail("{}: is there, and not from a run that can go on; remove it or choose another name for the output",
         partial_.string());
  }
  // A record whose lines are gone is of a run that ended between its last two steps.
  if (!fs::exists(partial_)) save();
  open();
  resume();
}

void PartialOutput::open() {
  file_.reset(std::fopen(partial_.c_str(), "abe"));
  if (!file_) fail_to_write(errno);
  if (::flock(::fileno(file_.get()), LOCK_EX | LOCK_NB) == 0) return;
  fail("{}: another run is writing it; wait for that one or choose another name for the output",
       partial_.string());
}

void PartialOutput::resume() {
  const nlohmann::json record = read_json_file(record_);
  const JsonView view(&record, record_.string());
  const auto identity = record.find("identity"), state = record.find("state");
  const auto bytes = view.integer("bytes");
  const bool whole =
      identity != record.end() && identity->is_object() && state != record.end() && bytes && *bytes >= 0;
  const auto refuse = [&](const std::string& why) {
    fail("{}: {}; remove {} and it, or choose another name for the output", partial_.string(), why,
         record_.filename().string());
  };
  if (!whole) refuse("its record is damaged");
  if (state->is_null()) return begin();
  std::vector<std::string> different;
  for (const auto& [key, value] : identity_.items()) {
    if (!identity->contains(key) || (*identity)[key] != value) different.push_back(key);
  }
  if (!different.empty()) {
    refuse(fmt::format("holds rows of another run (another {})", fmt::join(different, ", another ")));
  }
  if (fs::file_size(partial_) < static_cast<uint64_t>(*bytes)) refuse("is shorter than its record says");
  // What came after the record may end in the middle of a line.
  if (::ftruncate(::fileno(file_.get()), *bytes) != 0) fail_to_write(errno);
  bytes_ = static_cast<uint64_t>(*bytes);
  state_ = *state;
}

void PartialOutput::begin() {
  if (::ftruncate(::fileno(file_.get()), 0) != 0) fail_to_write(errno);
  save();
}

PartialOutput::~PartialOutput() {
  if (file_ && state_.is_null()) remove();
}

void PartialOutput::write(std::string_view line) {
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size()) fail_to_write(errno);
  bytes_ += line.size();
}

void PartialOutput::checkpoint(const nlohmann::json& state) {
  flush();
  state_ = state;
  save();
}

void PartialOutput::flush() {
  if (std::fflush(file_.get()) != 0 || ::fdatasync(::fileno(file_.get())) != 0) fail_to_write(errno);
}

void PartialOutput::save() {
  OutputFile record(record_);
  record.write(
      nlohmann::ordered_json({{"identity", identity_}, {"bytes", bytes_}, {"state", state_}}).dump(2) + "\n");
  record.commit();
}

void PartialOutput::commit() {
  flush();
  std::error_code code;
  fs::rename(partial_, name_, code);
  if (code) fail_to_write(code.value());
  fs::remove(record_, code);
  file_.reset();
}

void PartialOutput::remove() const {
  std::error_code ignored;
  fs::remove(partial_, ignored);
  fs::remove(record_, ignored);
}

void PartialOutput::fail_to_write(int code) const {
  fail("{}: writing failed ({}); free some space or choose another place", partial_.string(),
       std::strerror(code));
}

}  // namespace wattle
