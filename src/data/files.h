#pragma once

#include <filesystem>

namespace wattle::inline data {

/// The files of a data set. One of them may be empty: all rows are in the other.
struct DataFiles {
  std::filesystem::path train, eval;
};

/// What lies at a path: a file of rows (as `eval`), or a folder with train.* and eval.* (or test.*,
/// validation.*, dev.*) in a form that read_raw_rows() reads. Throws Error for a folder without rows for
/// evaluation, naming the files of rows there are, and for one of pictures, naming classes and counts.
DataFiles find_data_files(const std::filesystem::path& path);

}  // namespace wattle::inline data
