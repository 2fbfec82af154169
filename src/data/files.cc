#include "data/files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle::inline data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 12> kRowEndings = {".jsonl",  ".jsonl.gz", ".csv",  ".csv.gz",
                                                          ".tsv",    ".tsv.gz",   ".json", ".json.gz",
                                                          ".ndjson", ".conll",    ".iob",  ".bio"};
constexpr std::array<std::string_view, 8> kPictureEndings = {".png", ".jpg",  ".jpeg", ".webp",
                                                             ".bmp", ".tiff", ".tif",  ".gif"};

fs::path file_of(const fs::path& folder, std::initializer_list<const char*> stems) {
  for (const char* stem : stems) {
    for (const std::string_view ending : kRowEndings) {
      if (fs::path path = folder / fmt::format("{}{}", stem, ending); fs::is_regular_file(path)) return path;
    }
  }
  return {};
}

bool is_picture(const fs::path& path) {
  const std::string ending = lower_ascii(path.extension().string());
  return std::ranges::find(kPictureEndings, ending) != kPictureEndings.end();
}

/// Pictures in a folder, each of its subfolders' and theirs under the name of the folder that holds them.
struct Pictures {
  int64_t count = 0;
  std::map<std::string, int64_t> classes;
};

Pictures pictures_in(const fs::path& folder) {
  constexpr int kDeepest = 3;  // folder/train/class
  constexpr int64_t kMost = 1'000'000;
  Pictures pictures;
  std::error_code code;
  auto entry = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, code);
  for (; !code && entry != fs::recursive_directory_iterator() && pictures.count < kMost;
       entry.increment(code)) {
    if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
    if (!is_picture(entry->path()) || !entry->is_regular_file(code)) continue;
    ++pictures.count;
    if (entry.depth() > 0) ++pictures.classes[entry->path().parent_path().filename().string()];
  }
  return pictures;
}

/// Error for a folder that is there to be looked at.
void refuse_pictures(const fs::path& folder) {
  const Pictures pictures = pictures_in(folder);
  if (pictures.count == 0) return;
  std::vector<std::string> names;
  for (const auto& [name, count] : pictures.classes) {
    if (names.size() < 5) names.push_back(fmt::format("{} ({})", name, count));
  }
  if (pictures.classes.size() > names.size()) names.emplace_back("...");
  const size_t n = names.empty() ? 0 : pictures.classes.size();
  fail(
      "{}: is a folder of pictures ({} picture{}{}), and tasks of pictures are not there yet; give rows of "
      "text or a table",
      folder.string(), pictures.count, pictures.count == 1 ? "" : "s",
      n == 0 ? std::string()
             : fmt::format(" in {} class{}: {}", n, n == 1 ? "" : "es", fmt::join(names, ", ")));
}

std::vector<std::string> row_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const auto ends = [&](std::string_view ending) { return lower_ascii(name).ends_with(ending); };
    if (std::ranges::any_of(kRowEndings, ends) && name != "meta.json") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

DataFiles find_data_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {{}, path};
  DataFiles files{file_of(path, {"train"}), file_of(path, {"eval", "test", "validation", "valid", "dev"})};
  if (!files.eval.empty()) return files;
  const std::vector<std::string> others = row_files(path);
  if (others.empty()) refuse_pictures(path);
  fail("{}: there is no eval.jsonl, eval.csv or eval.tsv in the folder; name the file of rows itself{}",
       path.string(), others.empty() ? std::string() : fmt::format(" ({})", fmt::join(others, ", ")));
}

}  // namespace wattle::inline data
