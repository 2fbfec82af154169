#pragma once

#include <filesystem>
#include <string>

namespace wattle {

/// A model at another precision for as long as this object lives: converted into the cache directory when it
/// is made, removed when it goes.
class ModelAtPrecision {
 public:
  /// `model` is what model_path() gives; `precision` the name of a format, or empty to take the model as it
  /// is. Error for a format that is not written.
  ModelAtPrecision(const std::string& model, const std::string& precision, bool quiet);
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
