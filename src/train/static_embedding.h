#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/work.h"

namespace wattle::inline train {

struct DistilOptions {
  int64_t width = 256;  ///< of the vectors; the teacher's where that is less
  /// Of the frequency weights a / (a + p), p a token's share of all text (SIF, Arora et al. 2017).
  double sif = 1e-4;
  /// Texts of the kind that will be embedded; may be empty. Words that occur in at least `word_count` of them
  /// and that the teacher cuts into pieces become tokens of their own. Error where they are given and the
  /// teacher's tokenizer is not WordPiece, which alone can be given words.
  std::span<const std::string> texts = {};
  int64_t word_count = 5;
  std::function<void(double)> progress = {};  ///< the part that is done
};

/// What became of a teacher.
struct Distillation {
  int64_t tokens = 0;  ///< that have a vector
  int64_t words = 0;   ///< of them, those taken from the texts
  int64_t width = 0, teacher_width = 0;
  double variance = 1;  ///< the share of the teacher's variance that `width` components hold
  Work work;            ///< of the teacher
};

/// Distils the encoder at `teacher` (file or folder) into one vector a token and writes that as a model of
/// the family static-embedding, with the teacher's tokenizer, F32 (model2vec, Tulkens and van Dongen 2024).
/// Each token is embedded by the teacher as a text of its own, with its pooling, without normalising; the
/// vectors are centred and turned to their principal components; and each is multiplied by its frequency
/// weight, the frequencies by Zipf's law from the order of the vocabulary. Special tokens and "[unused7]"
/// have no vector and no rank. The same bytes for any number of threads. Error for a model that is no
/// encoder, or whose pooling or tokenizer is not there.
Distillation distil(const std::string& teacher, const std::filesystem::path& output,
                    const DistilOptions& options);

}  // namespace wattle::inline train
