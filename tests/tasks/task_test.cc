#include "tasks/task.h"
#include "families/open_file.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <cmath>

#include "file/gguf_writer.h"
#include "tasks/json.h"
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

std::vector<Question> rows_of(const std::vector<std::string>& texts) {
  std::vector<Question> rows;
  for (const std::string& text : texts) rows.push_back({std::to_string(rows.size()), text});
  return rows;
}

Question question_of(std::vector<TokenId> ids) {
  return {"7", TokenIds{std::move(ids), {}, {}}};
}

std::vector<TokenId> ids_of(const Answer& answer) {
  return std::get<TokensAnswer>(answer.value).ids;
}

/// The sentence with which a task refuses a question.
std::string refusal(Task& task, const Question& question) {
  try {
    task.answer({&question, 1});
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    return error.what();
  }
  return "no error";
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

TEST_F(TaskTest, WhatTheTokenizerLacksIsTold) {
  const ModelFile file = open_model_file(llama_);
  Metadata metadata = file.metadata();
  metadata.set("tokenizer.ggml.pre", Value::of(std::string("default")));
  std::vector<TensorToWrite> tensors;
  for (const Tensor& tensor : file.tensors()) {
    tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor] {
                         return std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end());
                       }});
  }
  const auto path = folder_ / "vague.gguf";
  write_gguf(path, metadata, tensors);
  for (const char* task : {"generate", "tokenize"}) {
    const auto notes = Task::create(path.string(), {.task = task})->notes();
    ASSERT_EQ(notes.size(), 1u) << task;
    EXPECT_NE(notes[0].find("tokenizer.ggml.pre"), std::string::npos);
    EXPECT_TRUE(Task::create(llama_, {.task = task})->notes().empty()) << task;
  }
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
    const std::vector<Question> rows =
        rows_of(name == "perplexity" ? std::vector<std::string>{kTexts[0], kTexts[2]} : kTexts);
    const std::vector<Answer> together = task(name, path, options)->answer(rows);
    const auto single = task(name, path, options);
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<Answer> alone = single->answer({&rows[i], 1});
      EXPECT_EQ(to_json(alone.front()), to_json(together[i])) << name << " row " << i;
    }
    const std::vector<Answer> fresh = task(name, path, options)->answer({&rows.back(), 1});
    EXPECT_EQ(to_json(fresh.front()), to_json(together.back()))
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
      EXPECT_EQ(to_json(answers[i])["label"], options.labels[static_cast<size_t>(best)]);
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_NEAR(to_json(answers[i])["scores"][options.labels[k]].get<double>(),
                    std::exp(likelihoods[k] - likelihoods[0]) / sum, 1e-4);
      }
    }
  }
}

TEST_F(TaskTest, ChoicesAreTheLabelsOfTheirQuestion) {
  TaskOptions fixed, own;
  fixed.labels = {"yes", "no", "maybe so"};
  fixed.prompt_template = own.prompt_template = "{text} ?";
  own.choices = true;
  const auto by_labels = task("classify", llama_, fixed), by_choices = task("classify", llama_, own);
  const MultipleChoice two{"abc", {"no", "maybe so"}}, three{"say that", {"yes", "no", "maybe so"}};
  const std::vector<Question> asked{{"0", two}, {"1", three}};
  // Together as one by one, although they differ in choices.
  const std::vector<Answer> answers = by_choices->answer(asked);
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto alone = std::get<LabelAnswer>(by_choices->answer_one(asked[i]).value);
    EXPECT_EQ(std::get<LabelAnswer>(answers[i].value).scores, alone.scores);
  }
  const auto wanted = std::get<LabelAnswer>(by_labels->answer_one({"1", three.question}).value);
  const auto& chosen = std::get<LabelAnswer>(answers[1].value);
  EXPECT_EQ(chosen.scores, wanted.scores);
  EXPECT_EQ(chosen.name(), wanted.name());
  EXPECT_EQ(*std::get<LabelAnswer>(answers[0].value).names, two.choices);
  EXPECT_THROW(by_choices->answer_one({"0", "a text alone"}), Error);
  EXPECT_THROW(by_labels->answer_one({"0", two}), Error);
}

TEST_F(TaskTest, SharedPromptsAreComputedOnce) {
  TaskOptions options;
  options.labels = {"no", "x"};
  options.prompt_template = "a long instruction that every row repeats word for word: {text}";
  const auto classify = task("classify", llama_, options);
  const std::vector<Question> rows = rows_of({"one", "two"});
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
  EXPECT_EQ(to_json(answer)["text"], streamed);

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
  EXPECT_EQ(to_json(answer)["text"], model->tokenizer().decode(produced));
  EXPECT_EQ(to_json(answer)["tokens_out"], produced.size());
  EXPECT_EQ(answer.work.tokens_out, static_cast<int64_t>(produced.size()));
  EXPECT_EQ(to_json(answer)["stop"], produced.size() < 20 ? "end" : "length");
}

TEST_F(TaskTest, TextsEndBeforeAStopStringAndStreamNothingOfIt) {
  TaskOptions options;
  options.max_tokens = 20;
  const auto text_of = [&](const TaskOptions& with) {
    const Answer answer = task("generate", llama_, with)->answer(rows_of({"abc"})).front();
    return std::get<TextAnswer>(answer.value);
  };
  const std::string whole = *text_of(options).text;
  ASSERT_GT(whole.size(), 8u);
  std::string streamed;
  options.stream = [&](std::string_view piece) { streamed += piece; };
  options.generation.stop = {"nowhere", whole.substr(3, 4)};
  const TextAnswer stopped = text_of(options);
  EXPECT_EQ(*stopped.text, whole.substr(0, whole.find(whole.substr(3, 4))));
  EXPECT_EQ(streamed, *stopped.text);
  EXPECT_EQ(stopped.stop, FinishReason::kStop);
}

TEST_F(TaskTest, TheModelsOwnDefaultsHoldUntilOthersAreAskedFor) {
  // A token that the model forbids, and another that it wants last.
  const ModelFile file = open_model_file(llama_);
  TaskOptions options;
  options.max_tokens = 6;
  const auto question = question_of({5, 6, 7});
  const auto ids = [&](const std::string& path) {
    return *std::get<TextAnswer>(task("generate", path, options)->answer({&question, 1}).front().value).ids;
  };
  const std::vector<TokenId> before = ids(llama_);
  Metadata metadata = file.metadata();
  metadata.set("wattle.generation.suppress_tokens", Value::of(std::vector<int64_t>{before[0]}));
  metadata.set("wattle.generation.forced_eos_token_id", Value::of(std::vector<int64_t>{9}));
  std::vector<TensorToWrite> tensors;
  for (const Tensor& tensor : file.tensors()) {
    tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor] {
                         return std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end());
                       }});
  }
  const auto path = folder_ / "defaults.gguf";
  write_gguf(path, metadata, tensors);
  const std::vector<TokenId> after = ids(path.string());
  EXPECT_EQ(std::ranges::count(after, before[0]), 0);
  EXPECT_EQ(after.back(), 9);
  options.generation.suppress.emplace();
  EXPECT_EQ(ids(path.string()).front(), before[0]);
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
  EXPECT_EQ(to_json(answer)["windows"], 3);
  EXPECT_EQ(to_json(answer)["tokens"], 93);
  EXPECT_NEAR(to_json(answer)["perplexity"].get<double>() / std::exp(nats / 93), 1, 1e-4);
  EXPECT_NEAR(to_json(answer)["bits_per_byte"].get<double>(),
              nats / std::log(2.0) / static_cast<double>(bytes), 1e-4);
  EXPECT_EQ(perplexity->summary()["perplexity"], to_json(answer)["perplexity"]);
}

TEST_F(TaskTest, EmbeddingsAreUnitVectorsAndLongTextsAreCut) {
  std::vector<std::string> texts = kTexts;
  texts.push_back("");
  texts.push_back(std::string(500, 'z'));
  const std::vector<Answer> answers = task("embed", bert_)->answer(rows_of(texts));
  for (const Answer& answer : answers) {
    double squares = 0;
    for (const double value : std::get<VectorAnswer>(answer.value).embedding) squares += value * value;
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  EXPECT_FALSE(answers[0].truncation.happened());
  EXPECT_GT(answers.back().truncation.tokens, answers.back().truncation.limit);
  EXPECT_EQ(to_json(answers.back())["tokens_in"], answers.back().truncation.limit);
  EXPECT_EQ(to_json(answers[1])["embedding"], to_json(answers[3])["embedding"]);
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
    correct += to_json(answers[i])["label"] == names[static_cast<size_t>(labels[i])];
  EXPECT_GE(correct, 38);
  EXPECT_NEAR(to_json(answers[0])["scores"]["low"].get<double>() +
                  to_json(answers[0])["scores"]["high"].get<double>(),
              1, 1e-5);

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
  const std::vector<Case> cases = {{"embed", llama_, "not embed"},
                                   {"generate", bert_, "is an encoder"},
                                   {"classify", bert_, "wattle train", labels},
                                   {"classify", llama_, "--labels"},
                                   {"sing", llama_, "unknown task"},
                                   {"tag", llama_, "not tag"},
                                   {"fill", bert_, "not fill"},
                                   {"logits", bert_, "is an encoder"},
                                   {"generate", llama_, "{text}", no_text},
                                   {"generate", llama_, "leaves no room", room},
                                   {"generate", llama_, "temperature", temperature},
                                   {"perplexity", llama_, "--context", window},
                                   {"generate", (folder_ / "missing").string(), "missing"}};
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

TEST_F(TaskTest, IdsAnswerAsTheTextThatTheyCameFrom) {
  const auto tokenizer = Model::open(llama_, exact());
  TaskOptions options;
  options.max_tokens = 6;
  const Question text = rows_of({"some text"}).front();
  const Question ids = question_of(tokenizer->tokenizer().encode(text.text()));
  for (const auto& [name, path] : {std::pair("embed", bert_), std::pair("generate", llama_),
                                   std::pair("tokenize", llama_), std::pair("logits", llama_)}) {
    const auto both = task(name, path, options);
    nlohmann::ordered_json of_text = to_json(both->answer({&text, 1}).front()),
                           of_ids = to_json(both->answer({&ids, 1}).front());
    if (std::string(name) == "generate") {
      EXPECT_EQ(tokenizer->tokenizer().decode(of_ids["ids"].get<std::vector<TokenId>>()), of_text["text"]);
      of_ids.erase("ids");
    }
    EXPECT_EQ(of_text, of_ids) << name;
  }
}

TEST_F(TaskTest, ModelsWithoutATokenizerAnswerIds) {
  const std::string llama = (kGolden / "llama").string(), bert = (kGolden / "bert").string();
  const Question ids = question_of({5, 6, 7, 8, 9});
  TaskOptions options;
  options.max_tokens = 4;
  const auto generated = to_json(task("generate", llama, options)->answer({&ids, 1}).front());
  EXPECT_FALSE(generated.contains("text"));
  EXPECT_EQ(generated["ids"].size(), generated["tokens_out"]);
  TaskOptions window;
  window.context = 5;
  const auto perplexity = to_json(task("perplexity", llama, window)->answer({&ids, 1}).front());
  const auto model = Model::open(llama, exact());
  const double nats = -reference_likelihood(*model, {5}, {6, 7, 8, 9});
  EXPECT_NEAR(perplexity["perplexity"].get<double>() / std::exp(nats / 4), 1, 1e-4);
  EXPECT_FALSE(perplexity.contains("bits_per_byte"));
  EXPECT_EQ(to_json(task("hidden", bert)->answer({&ids, 1}).front())["hidden"].size(), 5u);
  EXPECT_NE(refusal(*task("generate", llama, options), rows_of({"a text"}).front()).find("tokenizer"),
            std::string::npos);
}

TEST_F(TaskTest, HiddenStatesAndLogitsAreTheModelsOwn) {
  const std::vector<TokenId> ids = {3, 14, 15, 92};
  const Question question = question_of(ids);
  Matrix expected;
  Work work;
  const auto bert = Model::open(bert_, exact());
  Ragged<TokenId> sequence;
  sequence.append(ids);
  expected.resize(4, bert->encoder()->width());
  bert->encoder()->hidden_states(sequence, expected.view(), work);
  const auto expect = [&](const Answer& answer, const char* name) {
    const auto rows = nlohmann::ordered_json::parse(to_json(answer).dump()).at(name);
    ASSERT_EQ(rows.size(), 4u);
    for (int64_t i = 0; i < 4; ++i) {
      const auto row = expected.row(i);
      EXPECT_EQ(rows[static_cast<size_t>(i)].get<std::vector<float>>(),
                std::vector<float>(row.begin(), row.end()));
    }
    EXPECT_EQ(answer.work.tokens_in, 4);
  };
  expect(task("hidden", bert_)->answer({&question, 1}).front(), "hidden");
  const auto llama = Model::open(llama_, exact());
  const auto cache = llama->decoder()->new_cache(4);
  const DecoderInput input{cache.get(), ids};
  llama->decoder()->forward({&input, 1}, LogitsWanted::kAll, expected, work);
  expect(task("logits", llama_)->answer({&question, 1}).front(), "logits");
}

TEST(AnswerJson, FloatsOfMatricesAreTheShortestThatReadBack) {
  const Answer answer{
      NumbersAnswer{{{"hidden", 2, {0.1F, -1e-30F, 16777216.0F, 1.0F / 3}}, {"start_logits", 0, {0.5F}}}},
      {},
      {},
      {}};
  EXPECT_EQ(to_json(answer).dump(),
            R"({"hidden":[[0.1,-1e-30],[16777216.0,0.33333334]],"start_logits":[0.5]})");
}

TEST(AnswerJson, KeysOfEveryKind) {
  const auto names = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"a", "b"});
  const auto text = [](auto value) { return to_json(Answer{std::move(value), {}, {}, {}}).dump(); };
  EXPECT_EQ(text(LabelAnswer{1, {0.25F, 0.75F}, names, {}}), R"({"label":"b","scores":{"a":0.25,"b":0.75}})");
  EXPECT_EQ(text(LabelAnswer{0, {1, 0}, names, 5}),
            R"({"label":"a","scores":{"a":1.0,"b":0.0},"tokens_in":5})");
  EXPECT_EQ(text(VectorAnswer{{0.5F, 0}, 3}), R"({"embedding":[0.5,0.0],"tokens_in":3})");
  EXPECT_EQ(text(TextAnswer{"hi", {}, 3, 1, FinishReason::kLength}),
            R"({"text":"hi","tokens_in":3,"tokens_out":1,"stop":"length"})");
  EXPECT_EQ(text(TextAnswer{{}, std::vector<TokenId>{4}, 3, 1, FinishReason::kEnd}),
            R"({"ids":[4],"tokens_in":3,"tokens_out":1,"stop":"end"})");
  EXPECT_EQ(text(TokensAnswer{{1, 2}}), R"({"ids":[1,2]})");
  EXPECT_EQ(text(ScoreAnswer{0.5}), R"({"score":0.5})");
  EXPECT_EQ(text(SpansAnswer{{{1, 3, 1, 2, "PER", "\xC3\xA9", 0.5F}}}),
            R"({"spans":[{"label":"PER","text":"é","score":0.5,"begin":1,"end":3,"begin_code_point":1,)"
            R"("end_code_point":2}]})");
}

TEST_F(TaskTest, QuestionsOfAnotherKindAreRefused) {
  const auto embed = task("embed", bert_), generate = task("generate", llama_);
  const Question pair{"3", TextPair{"a", "b"}};
  EXPECT_NE(refusal(*embed, pair).find("row 3: is a pair of texts"), std::string::npos);
  EXPECT_NE(refusal(*generate, pair).find("is a pair of texts"), std::string::npos);
  EXPECT_NE(refusal(*embed, {"3", Conversation{{{"user", "a"}}}}).find("a conversation"), std::string::npos);
  EXPECT_NE(refusal(*generate, {"3", Conversation{{{"user", "a"}}}}).find("no chat template"),
            std::string::npos);
  EXPECT_NE(refusal(*generate, question_of({1, 96})).find("row 7: token id 96 is beyond"), std::string::npos);
  EXPECT_NE(refusal(*embed, question_of({1, 5000})).find("5000"), std::string::npos);
  EXPECT_NE(refusal(*embed, question_of(std::vector<TokenId>(5000, 1))).find("more than"), std::string::npos);
  EXPECT_NE(refusal(*embed, {"7", TokenIds{{1, 2}, {0, 1}, {}}}).find("type_ids"), std::string::npos);
  EXPECT_NE(refusal(*generate, {"7", TokenIds{{1}, {}, {2}}}).find("decoder_ids"), std::string::npos);
}

TEST_F(TaskTest, TokenizeKeepsSpecialTextAsText) {
  const std::vector<Question> rows = rows_of({"a<|end|>b"});
  const auto plain = ids_of(task("tokenize", llama_)->answer(rows).front());
  TaskOptions options;
  options.parse_special = true;
  const auto parsed = ids_of(task("tokenize", llama_, options)->answer(rows).front());
  EXPECT_EQ(plain.size(), 10u);  // BOS and nine characters
  EXPECT_EQ(parsed.size(), 4u);
  EXPECT_EQ(parsed[2], 0);
}

}  // namespace
}  // namespace wattle
