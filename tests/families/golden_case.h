#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "file/temporary_directory.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"

/// Tiny random models run by the reference libraries (tests/golden/families, made by make_families.py),
/// stored without their weights: those are drawn here by the rule that the script used.
namespace wattle::golden {

/// FNV-1a (64 bits) of a tensor's name: where its drawing begins.
uint64_t seed(std::string_view name);

/// Fills `values` in row-major order: element i takes seed(name) + (i + 1) * 0x9E3779B97F4A7C15 through
/// splitmix64's finaliser (Steele, Lea and Flood 2014); its upper 24 bits become u in [-1, 1); the value is
/// offset + scale * u in double precision, rounded once. Scales are powers of two, so that a fused
/// multiplication and addition changes nothing.
void draw(std::string_view name, double scale, double offset, std::span<float> values);

/// One tensor of the model's file. Weights are drawn; `same_as` names the tensor that a stored copy repeats.
struct Tensor {
  std::string name, same_as;
  std::vector<int64_t> shape;
  double scale = 0, offset = 0;
  bool buffer = false;   ///< no weight: filled with `fill` ("arange", "tril", "value", "rope") in `dtype`
  bool ignored = false;  ///< in published files, and read by nothing
  bool inert = false;    ///< cannot move the outputs by arithmetic (a key's bias cancels in softmax)
  std::string dtype = "F32", fill;
  double value = 0;

  int64_t elements() const;
};

struct Sequence {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;     ///< as many as ids, or none
  std::vector<int32_t> decoder_ids;  ///< of encoder-decoders: begin with the start token
  std::vector<int32_t> global;       ///< LED: 1 where a token attends to all, as many as ids, or none
};

/// What the reference library gives for a sequence: "hidden" [tokens, width], "pooled" [width], "logits"
/// [tokens or 1, columns], "start_logits" and "end_logits" [tokens], "encoder_hidden" [tokens, width].
struct Output {
  std::string kind;
  size_t sequence = 0;
  ConstMatrixView values;  ///< a vector is one row
};

/// A generation without sampling. `expect` leaves out the prompt and the decoder's start token, and holds the
/// end token where the reference library wrote one. As in transformers, min_length counts the prompt (of
/// encoder-decoders the decoder's start token), and a beam's score is its log-probability divided by
/// (new tokens, the end token counted) ^ length_penalty.
struct Generation {
  std::vector<int32_t> ids;  ///< the prompt; of encoder-decoders what the encoder reads
  int64_t max_new_tokens = 0, num_beams = 1, no_repeat_ngram_size = 0, min_length = 0;
  std::vector<int32_t> eos;  ///< any of them ends; none when empty
  int32_t pad = 0;
  double length_penalty = 1;
  std::string early_stopping;  ///< "false", "true", "never"
  std::optional<int32_t> forced_bos, forced_eos, decoder_start;
  std::vector<std::vector<int32_t>> bad_words;
  std::vector<int32_t> expect;
};

/// What a folder has otherwise than its case.
struct Changes {
  std::vector<std::string> redraw;        ///< tensors drawn with another seed (their copies follow)
  std::map<std::string, float> multiply;  ///< tensors multiplied by a factor (their copies follow)
  std::vector<std::string> remove;        ///< tensors left out
  nlohmann::json config;                  ///< a merge patch (RFC 7396) of config.json: null removes a key
  nlohmann::json generation_config;       ///< the same of generation_config.json
};

class Case {
 public:
  /// Reads FAMILY/CASE.json and CASE.f32 beside it. Throws Error when they do not fit.
  explicit Case(const std::filesystem::path& json);
  Case(const Case&) = delete;
  Case(Case&&) = default;

  const std::string& family() const { return family_; }
  const std::string& name() const { return name_; }
  /// "family/name", for messages.
  std::string label() const { return family_ + "/" + name_; }
  const nlohmann::json& config() const { return config_; }
  /// Null where the reference library writes none.
  const nlohmann::json& generation_config() const { return generation_config_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<Sequence>& sequences() const { return sequences_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  const std::vector<Generation>& generations() const { return generations_; }

  bool has(std::string_view kind) const;
  /// The outputs of one kind, in the order of the sequences. Throws Error when there are none.
  std::vector<const Output*> outputs(std::string_view kind) const;
  /// One field of all sequences, laid end to end: batch(&Sequence::ids).
  Ragged<int32_t> batch(std::vector<int32_t> Sequence::*field) const;

  /// Writes config.json, generation_config.json and model.safetensors as the hub would hold them. Throws
  /// Error when a change names a tensor that the case has not. The folder goes with the object.
  std::unique_ptr<TemporaryDirectory> write_folder(const Changes& changes = {}) const;

 private:
  const Tensor& tensor(const std::string& name) const;
  std::string safetensors(const Changes& changes) const;

  std::string family_, name_;
  nlohmann::json config_, generation_config_;
  std::vector<Tensor> tensors_;
  std::vector<Sequence> sequences_;
  std::vector<float> numbers_;
  std::vector<Output> outputs_;
  std::vector<Generation> generations_;
};

/// The JSON files of all cases, or of one family, in the order of their names.
std::vector<std::filesystem::path> case_files(std::string_view family = {});

/// The largest difference, relative to the largest magnitude of what is wanted. Infinite for other shapes or
/// values that are no numbers.
double relative_difference(ConstMatrixView got, ConstMatrixView want);

}  // namespace wattle::golden
