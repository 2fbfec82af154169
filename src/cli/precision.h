#pragma once

#include <filesystem>
#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include "quant/precision.h"

namespace wattle {

/// What --precision, --activations and --cache say together; without the first what a shape's name says.
/// Throws Error when two of them say the same thing.
struct PrecisionFlags {
  std::string precision, activations, cache;
  Precision read(const std::string& model) const;
};

/// --precision and --activations.
void add_precision_flags(CLI::App& verb, PrecisionFlags& flags);

/// "MODEL: no tensor is of the role output; ...".
std::string unused_notice(const std::string& model, std::span<const std::string> roles);

/// A model at another precision for as long as this object lives: converted into the cache directory when it
/// is made, removed when it goes.
class ModelAtPrecision {
 public:
  /// `model` is what model_path() gives. Prints a notice for roles that no tensor has, unless `quiet`.
  ModelAtPrecision(const std::string& model, const Precision& precision, bool quiet);
  ~ModelAtPrecision();
  ModelAtPrecision(const ModelAtPrecision&) = delete;
  ModelAtPrecision& operator=(const ModelAtPrecision&) = delete;

  /// What to open.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::filesystem::path written_;  ///< empty: nothing to remove
};

}  // namespace wattle
