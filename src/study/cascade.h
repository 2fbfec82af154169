#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "study/contender.h"

namespace wattle::inline study {

/// Top minus second probability of an answer. Error for an answer that is no label with the scores of at
/// least two.
double margin_of(const Answer& answer);

/// Contenders in a row: the first answers, and the next is asked where the margin is below the threshold.
class Cascade final : public Contender {
 public:
  /// Two or more stages. No thresholds: they are to be set before the first question.
  Cascade(std::vector<std::unique_ptr<Contender>> stages, std::vector<double> thresholds);

  void prepare(std::span<const Question> questions) override;
  void ask(size_t place, Reply& reply) override;
  Answer read(size_t place, Reply reply) override;
  void expect(double seconds_a_question) override;
  void finish() override;
  bool has_work() const override;
  std::vector<pid_t> processes() const override;
  std::string elsewhere() const override;
  int64_t peak_memory_bytes() const override;
  nlohmann::ordered_json description() const override;
  nlohmann::ordered_json facts() const override;

  std::span<const std::unique_ptr<Contender>> stages() const { return stages_; }
  /// One for each stage but the last.
  void set_thresholds(std::vector<double> thresholds);

 private:
  std::vector<std::unique_ptr<Contender>> stages_;
  std::vector<double> thresholds_;
  std::vector<int64_t> asked_;  ///< by stage, since prepare()
};

/// What a stage made of rows whose truth is known.
struct StageTrial {
  std::vector<double> margins;  ///< one a row; not needed of the last stage
  std::vector<char> right;
  double joules_a_query = 0;
};

struct ThresholdChoice {
  std::vector<double> thresholds;  ///< one for each stage but the last
  std::vector<double> passed;      ///< share of the rows that each stage but the last passes on
  double accuracy = 0, last_accuracy = 0;
  double joules_a_query = 0;
};

/// The cheapest thresholds at which the cascade's accuracy on the rows is at least `target` times the last
/// stage's. With two stages all margins that occur are tried, with more a grid of their quantiles. Error for
/// no rows, and for more than five stages.
ThresholdChoice choose_thresholds(std::span<const StageTrial> stages, double target);

}  // namespace wattle::inline study
