#include "cli/run_head_flags.h"

#include <map>

#include "cli/help.h"

namespace wattle {

void add_head_flags(CLI::App& verb, HeadOptions& head) {
  using Join = HeadOptions::Join;
  const std::map<std::string, Join> joins{{"none", Join::kNone},
                                          {"simple", Join::kSimple},
                                          {"first", Join::kFirst},
                                          {"max", Join::kMax},
                                          {"average", Join::kAverage}};
  verb.add_option("--top", head.top, "answers, or words for a mask, that are given (1, 5)")
      ->check(at_least_one());
  verb.add_option("--join", head.join,
                  "tag: spans by labels of tokens (simple, the default), of words (first, max, average), or "
                  "every token "
                  "alone (none)")
      ->transform(CLI::CheckedTransformer(joins));
  verb.add_option("--window", head.window,
                  "answer: tokens of question and context that are read together (384)")
      ->check(at_least_one());
  verb.add_option(
          "--overlap", head.overlap,
          "tokens that windows share (answer: 128); tag: read long texts in windows instead of cutting them")
      ->check(number_of_at_least(0));
  verb.add_option("--longest-answer", head.longest_answer, "answer: tokens of an answer at most")
      ->check(at_least_one())
      ->capture_default_str();
  verb.add_flag("--no-answer", head.no_answer, "answer: the context may hold none; then its text is empty");
  verb.add_flag("--raw-scores", head.raw_scores, "rank: logits instead of probabilities");
}

void add_text_flags(CLI::App& verb, TaskOptions& task) {
  verb.add_option("--from", task.from,
                  "translate: the text's language, as en, en_XX or eng_Latn (default: the model's)");
  verb.add_option("--to", task.to, "translate: the language to translate into");
  verb.add_option("--prompt", task.prompt, "embed: what stands before each text");
  verb.add_option("--prompt-name", task.prompt_name,
                  "embed: the same by its name among the model's own prompts");
}

}  // namespace wattle
