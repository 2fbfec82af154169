#include "families/open_file.h"
#include "tasks/task.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <cmath>

#include "file/gguf_writer.h"
#include "tasks/prompts.h"
#include "train/embedder.h"
#include "train/trainer.h"

namespace wattle {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/models";

/// Byte-level BPE in which every printable ASCII character is a token, one merge apart: 96 tokens, the golden
/// models' vocabulary. Token 0 ends a text.
Metadata with_tokenizer(Metadata metadata) {
  std::vector<std::string> tokens = {"<|end|>", "\xC4\xA0"};
  for (char c = '!'; tokens.size() < 95; ++c) tokens.push_back(std::string(1, c));
  tokens.push_back("no");
  std::vector<int64_t> types(tokens.size(), 1);
  types[0] = 3;
  metadata.set("tokenizer.ggml.model", Value::of(std::string("gpt2")));
  metadata.set("tokenizer.ggml.pre", Value::of(std::string("gpt-2")));
  metadata.set("tokenizer.ggml.tokens", Value::of(tokens));
  metadata.set("tokenizer.ggml.token_type", Value::of(types));
  metadata.set("tokenizer.ggml.merges", Value::of(std::vector<std::string>{"n o"}));
  metadata.set("tokenizer.ggml.bos_token_id", Value::of(int64_t{0}));
  metadata.set("tokenizer.ggml.eos_token_id", Value::of(int64_t{0}));
  metadata.set("tokenizer.ggml.add_bos_token", Value::of(true));
  return metadata;
}

LoadOptions exact() {
  LoadOptions options;
  options.cache_format = Format::kF32;
  return options;
}

class TaskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("wattle_tasks_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    llama_ = give_tokenizer("llama", {});
    bert_ = give_tokenizer("bert", "mean");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A golden model as GGUF, with the tokenizer above.
  std::string give_tokenizer(const std::string& name, const std::string& pooling) const {
    const ModelFile file = open_model_file(kGolden / name);
    Metadata metadata = with_tokenizer(file.metadata());
    if (!pooling.empty()) metadata.set(name + ".pooling_type", Value::of(int64_t{1}));
    std::vector<TensorToWrite> tensors;
    for (const Tensor& tensor : file.tensors()) {
      tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor] {
                           return std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end());
                         }});
    }
    const auto path = folder_ / (name + ".gguf");
    write_gguf(path, metadata, tensors);
    return path.string();
  }

  std::unique_ptr<Task> task(const std::string& name, const std::string& path,
                             TaskOptions options = {}) const {
    options.task = name;
    return Task::create(path, options, exact());
  }

  std::filesystem::path folder_;
  std::string llama_, bert_;
};

std::vector<Row> rows_of(const std::vector<std::string>& texts) {
  std::vector<Row> rows;
  for (const std::string& text : texts) rows.push_back({static_cast<int64_t>(rows.size()), text});
  return rows;
}

const std::vector<std::string> kTexts = {"one small text", "x",
                                         "another text, a little longer than the first", "x"};

/// ln p of `tokens` after `context`, one token at a time without any cache but the model's own: the
/// definition.
double reference_likelihood(Model& model, std::vector<TokenId> context, const std::vector<TokenId>& tokens) {
  double sum = 0;
  for (const TokenId token : tokens) {
    const auto cache = model.decoder()->new_cache(256);
    Matrix logits;
    Work work;
    const DecoderInput input{cache.get(), context};
    model.decoder()->forward({&input, 1}, LogitsWanted::kLast, logits, work);
    double largest = -INFINITY, total = 0;
    for (const float logit : logits.row(0)) largest = std::max<double>(largest, logit);
    for (const float logit : logits.row(0)) total += std::exp(logit - largest);
    sum += logits.row(0)[static_cast<size_t>(token)] - largest - std::log(total);
    context.push_back(token);
  }
  return sum;
}

TEST_F(TaskTest, AnswersDoNotDependOnTheBatch) {
  TaskOptions classify;
  classify.labels = {"yes", "no", "maybe so"};
  TaskOptions generate;
  generate.max_tokens = 12;
  TaskOptions draw = generate;
  draw.generation.sampler.temperature = 0.9;
  draw.generation.sampler.seed = 5;
  TaskOptions window;
  window.context = 16;
  const std::tuple<std::string, std::string, TaskOptions> cases[] = {
      {"classify", llama_, classify}, {"generate", llama_, generate}, {"generate", llama_, draw},
      {"embed", bert_, {}},           {"tokenize", llama_, {}},       {"perplexity", llama_, window}};
  for (const auto& [name, path, options] : cases) {
    const std::vector<Row> rows =
        rows_of(name == "perplexity" ? std::vector<std::string>{kTexts[0], kTexts[2]} : kTexts);
    const std::vector<Answer> together = task(name, path, options)->answer(rows);
    const auto single = task(name, path, options);
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<Answer> alone = single->answer({&rows[i], 1});
      EXPECT_EQ(alone.front().fields, together[i].fields) << name << " row " << i;
    }
    const std::vector<Answer> fresh = task(name, path, options)->answer({&rows.back(), 1});
    EXPECT_EQ(fresh.front().fields, together.back().fields)
        << name << ": a kept prompt must not change the answer";
  }
}

TEST_F(TaskTest, ClassifiesByTheLikelihoodOfTheLabelsTokens) {
  TaskOptions options;
  options.labels = {"yes", "no", "maybe so"};
  options.prompt_template = "{labels}? {text} =";
  options.examples = {{"first", "no"}, {"second", "yes"}};
  const auto model = Model::open(llama_, exact());
  for (const bool normalise : {false, true}) {
    options.normalise_length = normalise;
    const std::vector<Answer> answers = task("classify", llama_, options)->answer(rows_of(kTexts));
    for (size_t i = 0; i < kTexts.size(); ++i) {
      const std::string list = "yes, no, maybe so? ";
      const std::string prompt =
          list + "first = no\n\n" + list + "second = yes\n\n" + list + kTexts[i] + " =";
      std::vector<double> likelihoods;
      for (const std::string& label : options.labels) {
        const auto tokens = model->tokenizer().encode(" " + label, {.add_special = false});
        double value = reference_likelihood(*model, model->tokenizer().encode(prompt), tokens);
        if (normalise) value /= static_cast<double>(tokens.size());
        likelihoods.push_back(value);
      }
      double sum = 0;
      for (const double likelihood : likelihoods) sum += std::exp(likelihood - likelihoods[0]);
      const auto best = std::max_element(likelihoods.begin(), likelihoods.end()) - likelihoods.begin();
      EXPECT_EQ(answers[i].fields["label"], options.labels[static_cast<size_t>(best)]);
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_NEAR(answers[i].fields["scores"][options.labels[k]].get<double>(),
                    std::exp(likelihoods[k] - likelihoods[0]) / sum, 1e-4);
      }
    }
  }
}

TEST_F(TaskTest, SharedPromptsAreComputedOnce) {
  TaskOptions options;
  options.labels = {"no", "x"};
  options.prompt_template = "a long instruction that every row repeats word for word: {text}";
  const auto classify = task("classify", llama_, options);
  const std::vector<Row> rows = rows_of({"one", "two"});
  const Work first = classify->answer({&rows[0], 1}).front().work;
  const Work second = classify->answer({&rows[1], 1}).front().work;
  EXPECT_GT(first.tokens_in, 50);
  EXPECT_LE(second.tokens_in, 8);
  EXPECT_GT(second.macs_fp32 + second.macs_int8 + second.macs_bf16, 0);
}

TEST_F(TaskTest, GeneratesGreedilyAndStreamsWhatItAnswers) {
  const auto model = Model::open(llama_, exact());
  std::string streamed;
  TaskOptions options;
  options.max_tokens = 20;
  options.stream = [&](std::string_view piece) { streamed += piece; };
  const Answer answer = task("generate", llama_, options)->answer(rows_of({"abc"})).front();
  EXPECT_EQ(answer.fields["text"], streamed);

  std::vector<TokenId> context = model->tokenizer().encode("abc"), produced;
  while (produced.size() < 20) {
    const auto cache = model->decoder()->new_cache(256);
    Matrix logits;
    Work work;
    const DecoderInput input{cache.get(), context};
    model->decoder()->forward({&input, 1}, LogitsWanted::kLast, logits, work);
    const auto row = logits.row(0);
    const auto next = static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
    if (model->tokenizer().ends_generation(next)) break;
    produced.push_back(next);
    context.push_back(next);
  }
  EXPECT_EQ(answer.fields["text"], model->tokenizer().decode(produced));
  EXPECT_EQ(answer.fields["tokens_out"], produced.size());
  EXPECT_EQ(answer.work.tokens_out, static_cast<int64_t>(produced.size()));
  EXPECT_EQ(answer.fields["stop"], produced.size() < 20 ? "end" : "length");
}

TEST_F(TaskTest, PerplexityOverWindows) {
  const auto model = Model::open(llama_, exact());
  std::string text;
  for (int i = 0; i < 12; ++i) text += "some text, line " + std::to_string(i) + ". ";
  TaskOptions options;
  options.context = 32;
  options.max_tokens = 100;  // three windows, and four tokens that are left out
  const auto perplexity = task("perplexity", llama_, options);
  const Answer answer = perplexity->answer(rows_of({text})).front();

  std::vector<TokenId> tokens = model->tokenizer().encode(text);
  double nats = 0;
  size_t bytes = 0;
  for (size_t w = 0; w < 3; ++w) {
    std::vector<TokenId> window(tokens.begin() + static_cast<long>(32 * w),
                                tokens.begin() + static_cast<long>(32 * w + 32));
    window[0] = 0;
    nats -= reference_likelihood(*model, {0}, {window.begin() + 1, window.end()});
    for (size_t t = 1; t < 32; ++t) bytes += model->tokenizer().piece(window[t]).size();
  }
  EXPECT_EQ(answer.fields["windows"], 3);
  EXPECT_EQ(answer.fields["tokens"], 93);
  EXPECT_NEAR(answer.fields["perplexity"].get<double>() / std::exp(nats / 93), 1, 1e-4);
  EXPECT_NEAR(answer.fields["bits_per_byte"].get<double>(), nats / std::log(2.0) / static_cast<double>(bytes),
              1e-4);
  EXPECT_EQ(perplexity->summary()["perplexity"], answer.fields["perplexity"]);
}

TEST_F(TaskTest, EmbeddingsAreUnitVectorsAndLongTextsAreCut) {
  std::vector<std::string> texts = kTexts;
  texts.push_back("");
  texts.push_back(std::string(500, 'z'));
  const std::vector<Answer> answers = task("embed", bert_)->answer(rows_of(texts));
  for (const Answer& answer : answers) {
    double squares = 0;
    for (const double value : answer.fields["embedding"]) squares += value * value;
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  EXPECT_FALSE(answers[0].truncation.happened());
  EXPECT_GT(answers.back().truncation.tokens, answers.back().truncation.limit);
  EXPECT_EQ(answers.back().fields["tokens_in"], answers.back().truncation.limit);
  EXPECT_EQ(answers[1].fields["embedding"], answers[3].fields["embedding"]);
}

TEST_F(TaskTest, HeadsRunOnTheirBaseAndRefuseAnother) {
  const auto model = Model::open(bert_, exact());
  Embedder embedder(*model);
  std::vector<std::string_view> texts;
  std::vector<std::string> names = {"low", "high"}, owned;
  std::vector<int> labels;
  for (int i = 0; i < 40; ++i) {
    labels.push_back(i % 2);
    owned.push_back(std::string(static_cast<size_t>(3 + i / 2), i % 2 == 0 ? 'a' : 'q'));
  }
  texts.assign(owned.begin(), owned.end());
  Matrix embeddings;
  embedder.embed(texts, embeddings);
  const Head head =
      train_on_embeddings(embeddings.view(), {bert_, fingerprint(model->file()), embedder.width()}, labels,
                          names, {.costs = {16}});
  const auto path = (folder_ / "head.gguf").string();
  head.save(path);
  const std::vector<Answer> answers = Task::create(path, {})->answer(rows_of(owned));
  int correct = 0;
  for (size_t i = 0; i < answers.size(); ++i)
    correct += answers[i].fields["label"] == names[static_cast<size_t>(labels[i])];
  EXPECT_GE(correct, 38);
  EXPECT_NEAR(
      answers[0].fields["scores"]["low"].get<double>() + answers[0].fields["scores"]["high"].get<double>(), 1,
      1e-5);

  const std::string other = give_tokenizer("mpnet", "mean");
  EXPECT_THROW(Task::create(path, {.task = "classify", .base = other}), Error);
  std::filesystem::rename(bert_, folder_ / "moved.gguf");
  EXPECT_THROW(Task::create(path, {}), Error) << "the base is gone";
  EXPECT_EQ(Task::create(path, {.task = "classify", .base = (folder_ / "moved.gguf").string()})
                ->answer(rows_of(owned))
                .size(),
            40u);
}

TEST_F(TaskTest, WhatAModelCannotDoIsSaid) {
  struct Case {
    std::string task, path, expected;
    TaskOptions options = {};
  };
  TaskOptions labels, no_text, room, window, temperature;
  labels.labels = {"a", "b"};
  no_text.prompt_template = "nothing";
  room.max_tokens = 4000;
  window.context = 4000;
  temperature.generation.sampler.temperature = -1;
  const std::vector<Case> cases = {
      {"embed", llama_, "gives no embeddings"},     {"generate", bert_, "is an encoder"},
      {"classify", bert_, "wattle train", labels},  {"classify", llama_, "--labels"},
      {"translate", llama_, "unknown task"},        {"generate", llama_, "{text}", no_text},
      {"generate", llama_, "leaves no room", room}, {"generate", llama_, "temperature", temperature},
      {"perplexity", llama_, "--context", window},  {"generate", (folder_ / "missing").string(), "missing"}};
  for (const Case& c : cases) {
    try {
      task(c.task, c.path, c.options);
      ADD_FAILURE() << c.task << " on " << c.path << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.expected), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_status(), 2);
    }
  }
}

TEST_F(TaskTest, TokenizeKeepsSpecialTextAsText) {
  const std::vector<Row> rows = rows_of({"a<|end|>b"});
  const auto plain = task("tokenize", llama_)->answer(rows).front().fields["ids"].get<std::vector<int>>();
  TaskOptions options;
  options.parse_special = true;
  const auto parsed =
      task("tokenize", llama_, options)->answer(rows).front().fields["ids"].get<std::vector<int>>();
  EXPECT_EQ(plain.size(), 10u);  // BOS and nine characters
  EXPECT_EQ(parsed.size(), 4u);
  EXPECT_EQ(parsed[2], 0);
}

}  // namespace
}  // namespace wattle
