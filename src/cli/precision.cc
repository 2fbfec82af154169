#include "cli/precision.h"

#include <unistd.h>

#include <fstream>

#include <fmt/format.h>
#include <wattle/error.h>

#include "families/open_file.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "models/convert.h"
#include "models/shapes.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

/// shape:NAME@FORMAT makes its weights at any precision by itself.
std::string shape_at(const std::string& shape, Format wanted) {
  return fmt::format("{}@{}", shape.substr(0, shape.find('@')), info(wanted).name);
}

}  // namespace

ModelAtPrecision::ModelAtPrecision(const std::string& model, const std::string& precision, bool quiet)
    : path_(model) {
  if (precision.empty()) return;
  const Format wanted = format_from_name(precision);
  if (is_shape(model)) {
    path_ = shape_at(model, wanted);
    return;
  }
  const ModelFile file = open_model_file(model);
  if (precision_name(file) == info(wanted).name) return;
  const fs::path directory = cache_directory() / "converted";
  std::error_code code;
  fs::create_directories(directory, code);
  if (code) {
    fail("{}: cannot be made ({}); set XDG_CACHE_HOME to a directory that can be written", directory.string(),
         code.message());
  }
  const fs::path written = directory / fmt::format("{}.{}.{}.gguf", fs::path(model).filename().string(),
                                                   info(wanted).name, ::getpid());
  ProgressBar bar(quiet);
  ConvertOptions options;
  options.progress = [&](size_t done, size_t total) { bar("converting " + model, done, total); };
  convert(file, written, wanted, options);
  // What the conversion held is no part of what the model needs: the kernel's mark of the most memory begins
  // anew.
  std::ofstream("/proc/self/clear_refs") << 5;
  written_ = written;
  path_ = written.string();
}

ModelAtPrecision::~ModelAtPrecision() {
  std::error_code ignored;
  if (!written_.empty()) fs::remove(written_, ignored);
}

}  // namespace wattle
