#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "file/onnx_graph.h"
#include "file/onnx_values.h"

namespace wattle::inline file {

/// What the nodes of ONNX graphs show of a model's configuration that no shape of a tensor does.
class OnnxFacts {
 public:
  /// Looks through a graph; several add up.
  void add(const OnnxModel& model, const ExternalData& external);

  /// Heads into which attention divides so many features; 0 when the graph does not say, or says two numbers.
  int64_t heads_of(int64_t features) const;
  /// The epsilon of all the norms; nothing when there is none, or more than one.
  std::optional<double> norm_epsilon() const;
  /// As config.json names it: "gelu", "gelu_new" (by tanh), "relu", "silu"; empty when none is seen.
  std::string activation() const;
  /// T5's distance from which on all positions share a bucket.
  std::optional<int64_t> relative_distance() const { return relative_distance_; }
  /// Whether states are multiplied by a number before `lm_head`, as T5 does where it shares the table.
  bool has_scaled_head() const { return scaled_head_; }
  /// Whether an operator is there.
  bool has(std::string_view op) const { return operators_.count(std::string(op)) != 0; }

 private:
  void add_node(const OnnxGraph& graph, const OnnxNode& node);
  void add_reshape(const OnnxGraph& graph, const OnnxNode& node);
  void add_epsilon(const OnnxGraph& graph, const OnnxNode& node);
  void add_distance(const OnnxGraph& graph, const OnnxNode& node);
  void add_head(const OnnxGraph& graph, const OnnxNode& node);
  /// The number that a value is, where it is a constant of one element.
  std::optional<float> constant(const OnnxGraph& graph, std::string_view value) const;

  const std::string* origin_ = nullptr;
  const ExternalData* external_ = nullptr;
  std::set<std::pair<int64_t, int64_t>> divisions_;  ///< (heads, features of a head)
  std::set<float> epsilons_;
  std::set<std::string> operators_;
  std::optional<int64_t> relative_distance_;
  bool scaled_head_ = false, cubic_ = false, exact_gelu_ = false;
};

}  // namespace wattle::inline file
