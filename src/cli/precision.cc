#include "cli/precision.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "cli/paths.h"
#include "cli/progress.h"
#include "families/open_file.h"
#include "models/convert.h"
#include "models/shapes.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

void print_unused(const std::string& model, std::span<const std::string> roles, bool quiet) {
  if (!roles.empty() && !quiet) fmt::print(stderr, "{}\n", unused_notice(model, roles));
}

}  // namespace

Precision PrecisionFlags::read(const std::string& model) const {
  Precision result;
  if (!precision.empty()) {
    result = Precision::parse(precision);
  } else if (is_shape(model)) {
    result = shape_precision(model);
  }
  if (!activations.empty()) result.set_activations(activations_from_name(activations));
  if (!cache.empty()) result.set_cache(format_from_name(cache));
  return result;
}

void add_precision_flags(CLI::App& verb, PrecisionFlags& flags) {
  verb.add_option(
      "--precision", flags.precision,
      "run the weights at this precision, as Q4_K or Q4_K,output=Q6_K,cache=Q8_0,activations=w8a8");
  verb.add_option("--activations", flags.activations,
                  "how products read their inputs: " + activations_list());
}

std::string unused_notice(const std::string& model, std::span<const std::string> roles) {
  return fmt::format("{}: no tensor is of the role {}, and nothing took the format asked for it{}", model,
                     fmt::join(roles, ", "),
                     std::ranges::find(roles, role_name(Role::kOutput)) == roles.end()
                         ? ""
                         : "; a model without an output of its own makes logits from its embedding");
}

ModelAtPrecision::ModelAtPrecision(const std::string& model, const Precision& precision, bool quiet)
    : path_(model) {
  if (!precision.changes_weights()) return;
  if (is_shape(model)) {
    path_ = shape_at(model, precision);
    print_unused(model, unused_roles(precision, shape_file(path_), model), quiet);
    return;
  }
  const Precision weights = precision.of_weights();
  const ModelFile file = open_model_file(model);
  if (precision_name(file) == weights.name()) return;
  const fs::path directory = cache_directory() / "converted";
  std::error_code code;
  fs::create_directories(directory, code);
  if (code) {
    fail("{}: cannot be made ({}); set XDG_CACHE_HOME to a directory that can be written", directory.string(),
         code.message());
  }
  const fs::path written =
      directory / fmt::format("{}.{}.{}.gguf", fs::path(model).filename().string(),
                              info(weights.weights().value_or(Format::kF32)).name, ::getpid());
  ProgressBar bar(quiet);
  ConvertOptions options;
  options.progress = [&](size_t done, size_t total) { bar("converting " + model, done, total); };
  const Conversion conversion = convert(file, written, weights, options);
  print_unused(model, conversion.unused, quiet);
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
