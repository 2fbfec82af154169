#include "tasks/tag_training.h"

#include <array>
#include <cmath>
#include <iterator>
#include <random>

#include "base/threads.h"
#include "tasks/pipelines.h"

// Heads for the labels of tokens: rows, training on a tiny encoder, and what the saved head answers.

namespace wattle {
namespace {

using namespace pipelines;

/// Sentences of the tiny models' words: people are anna or anna lives, places paris, berlin, and either with
/// works.
struct Sentence {
  std::vector<std::string> words, tags;
};

std::vector<Sentence> sentences(int count, uint64_t seed) {
  const std::vector<std::string> fillers = {"in", "the", "is", "of", "and", "who", "where", "."};
  const std::vector<std::array<std::string, 3>> names = {
      {"anna", "lives", "PER"}, {"paris", "works", "LOC"}, {"berlin", "works", "LOC"}};
  std::mt19937_64 random(seed);
  std::vector<Sentence> all;
  for (int i = 0; i < count; ++i) {
    Sentence sentence;
    for (size_t w = 0; w < 4 + random() % 4; ++w) {
      if (random() % 3 != 0) {
        sentence.words.push_back(fillers[random() % fillers.size()]);
        sentence.tags.emplace_back("O");
        continue;
      }
      const auto& [first, second, label] = names[random() % names.size()];
      sentence.words.push_back(first);
      sentence.tags.push_back("B-" + label);
      if (random() % 2 == 0) {
        sentence.words.push_back(second);
        sentence.tags.push_back("I-" + label);
      }
      sentence.words.emplace_back("is");
      sentence.tags.emplace_back("O");
    }
    all.push_back(std::move(sentence));
  }
  return all;
}

std::string as_words(const std::vector<Sentence>& sentences) {
  std::string rows;
  for (const Sentence& each : sentences)
    rows += Json{{"tokens", each.words}, {"tags", each.tags}}.dump() + "\n";
  return rows;
}

/// The same as texts with spans, every other one counted in bytes.
std::string as_spans(const std::vector<Sentence>& sentences) {
  std::string rows;
  bool bytes = false;
  for (const Sentence& each : sentences) {
    Json row = {{"text", ""}, {"spans", Json::array()}};
    std::string text;
    for (size_t w = 0; w < each.words.size(); ++w) {
      if (w > 0) text += ' ';
      const size_t begin = text.size();
      text += each.words[w];
      if (each.tags[w][0] == 'B')
        row["spans"].push_back({{bytes ? "begin" : "start", begin}, {"label", each.tags[w].substr(2)}});
      if (each.tags[w] != "O") row["spans"].back()["end"] = text.size();
    }
    row["text"] = text;
    bytes = !bytes;
    rows += row.dump() + "\n";
  }
  return rows;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Trains on rows and gives the head's file.
std::filesystem::path train(const Folder& folder, const TemporaryDirectory& place, const std::string& rows,
                            const std::string& name, HeadKind kind = HeadKind::kLinear) {
  const TaggedRows data = read_tagged_rows(place.write(name + ".jsonl", rows));
  const auto model = Model::open(folder.path());
  Work work;
  const Head head = train_token_head(
      *model, folder.path(), data, {.kind = kind, .costs = {0.01, 0.1, 1}},
      [](const std::string&, double part) { EXPECT_LE(part, 1); }, work);
  EXPECT_GT(work.tokens_in, 0);
  EXPECT_EQ(head.features(), "tokens");
  const auto path = place.path() / (name + ".gguf");
  head.save(path);
  return path;
}

TagScores scores_of(const std::filesystem::path& head, const TaggedRows& rows, const LoadOptions& load = {}) {
  return score_tags(rows.rows, Task::create(head.string(), {.task = "tag"}, load)->answer(rows.questions()));
}

TEST(TagTraining, ALearntHeadFindsTheSpansOfOtherRows) {
  const Folder folder(cases_of("tag")[0]);
  const TemporaryDirectory place;
  const auto rows = sentences(150, 1);
  const TaggedRows others = read_tagged_rows(place.write("eval.jsonl", as_words(sentences(60, 2))));
  for (const HeadKind kind : {HeadKind::kLinear, HeadKind::kForest}) {
    const TagScores scores = scores_of(train(folder, place, as_words(rows), "head", kind), others);
    EXPECT_GT(scores.wanted, 80);
    EXPECT_GT(scores.accuracy(), 0.95) << name(kind);
    EXPECT_GT(scores.f1(), 0.8) << name(kind);
  }
  // The same rows with each other's tags teach nothing.
  auto mixed = rows;
  std::vector<std::string*> tags;
  for (Sentence& sentence : mixed) {
    for (std::string& tag : sentence.tags) tags.push_back(&tag);
  }
  std::mt19937_64 random(3);
  for (size_t i = tags.size(); i > 1; --i) std::swap(*tags[i - 1], *tags[random() % i]);
  EXPECT_LT(scores_of(train(folder, place, as_words(mixed), "mixed"), others).f1(), 0.2);
}

TEST(TagTraining, WordsAndSpansAndThreadsGiveTheSameBytes) {
  const Folder folder(cases_of("tag")[0]);
  const TemporaryDirectory place;
  const auto rows = sentences(40, 4);
  set_threads(1);
  const std::string words = bytes_of(train(folder, place, as_words(rows), "words"));
  set_threads(2);
  EXPECT_EQ(words, bytes_of(train(folder, place, as_words(rows), "again")));
  EXPECT_EQ(words, bytes_of(train(folder, place, as_spans(rows), "spans")));
}

TEST(TagTraining, TheSavedHeadIsATaggerOfItsModel) {
  const Json about = cases_of("tag")[0];
  const Folder folder(about);
  const TemporaryDirectory place;
  const std::string head = train(folder, place, as_words(sentences(100, 5)), "head").string();
  const auto task = Task::create(head, {});  // tagging is what it is for
  const std::string text = "who is anna lives and where is paris";
  const Answer answer = ask(*task, {"0", text});
  const auto& spans = std::get<SpansAnswer>(answer.value).spans;
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].label, "PER");
  EXPECT_EQ(spans[0].text, "anna lives");
  EXPECT_EQ(spans[1].label, "LOC");
  EXPECT_EQ(spans[1].begin, 31);
  EXPECT_EQ(task->description()["features"], "tokens");
  EXPECT_EQ(task->description()["base"]["architecture"], "bert");

  // Its scores are the probabilities that the head itself gives for the hidden states.
  const Answer each =
      ask(*Task::create(head, {.task = "tag", .head = {.join = HeadOptions::Join::kNone}}), {"0", text});
  const auto& tokens = std::get<SpansAnswer>(each.value).spans;
  ASSERT_EQ(tokens.size(), 3u);
  const auto hidden = Task::create(folder.path(), {.task = "hidden"});
  const auto numbers = std::get<NumbersAnswer>(ask(*hidden, {"0", text}).value).parts[0];
  Head trained = Head::load(ModelFile::open(head));
  Work work;
  const auto width = static_cast<size_t>(numbers.columns);
  const Prediction third = trained.predict(std::span(numbers.values).subspan(3 * width, width), work);
  EXPECT_EQ(tokens[0].label, trained.labels()[static_cast<size_t>(third.label)]);
  EXPECT_NEAR(tokens[0].score, third.scores[static_cast<size_t>(third.label)], 1e-5);

  EXPECT_NE(refusal([&] { Task::create(head, {.task = "classify"}); }).find("--task tag only"),
            std::string::npos);
  const Folder other(cases_of("tag")[1]);
  EXPECT_NE(refusal([&] { Task::create(head, {.task = "tag", .base = other.path()}); }).find("another model"),
            std::string::npos);
}

TEST(TagTraining, LongTextsAreReadToTheirEnd) {
  const Json about = cases_of("tag")[0];
  const Folder folder(about);
  const TemporaryDirectory place;
  const auto model = Model::open(folder.path());
  const auto most = static_cast<size_t>(model->encoder()->max_tokens());
  Sentence longest;
  for (size_t i = 0; i < 3 * most; ++i) {
    longest.words.push_back(i % 7 == 3 ? "paris" : "the");
    longest.tags.emplace_back(i % 7 == 3 ? "B-LOC" : "O");
  }
  const Head head = Head::load(ModelFile::open(train(folder, place, as_words({longest}), "head")));
  EXPECT_EQ(head.training().rows, static_cast<int64_t>(3 * most));
}

TEST(TaggedRows, SchemesAreKept) {
  using Labels = std::vector<std::string>;
  const auto writer = [](const Labels& tags) { return TagWriter(tags); };
  const auto written = [](const TagWriter& labels, const char* name, size_t length) {
    std::string text;
    for (size_t i = 0; i < length; ++i)
      text += labels.labels()[static_cast<size_t>(labels.label(name, i, length))] + " ";
    return text;
  };
  const TagWriter plain = writer({"O", "X"});
  EXPECT_EQ(plain.labels(), (Labels{"O", "X"}));
  EXPECT_EQ(written(plain, "X", 3), "X X X ");
  EXPECT_EQ(written(writer({"I-X", "O"}), "X", 2), "I-X I-X ");
  const TagWriter two = writer({"B-X", "O", "E-mail"});
  EXPECT_EQ(two.labels(), (Labels{"B-X", "O", "E-mail", "I-X"}));
  EXPECT_EQ(written(two, "X", 3), "B-X I-X I-X ");
  EXPECT_EQ(written(two, "E-mail", 2), "E-mail E-mail ");
  EXPECT_FALSE(two.has_name("mail"));
  EXPECT_FALSE(two.has_name("O"));
  const TagWriter five = writer({"O", "B-X", "L-X", "U-X", "U-Y"});
  EXPECT_EQ(written(five, "X", 1) + written(five, "X", 2) + written(five, "Y", 3),
            "U-X B-X L-X B-Y I-Y L-Y ");
  EXPECT_EQ(writer({"NN", "VB"}).outside(), std::nullopt);
}

class TaggedRowsTest : public ::testing::Test {
 protected:
  TaggedRows read(const std::string& rows, const TaggedOptions& options = {}) const {
    return read_tagged_rows(place_.write("rows.jsonl", rows), options);
  }
  std::string spans(const std::string& rows, const TaggedOptions& options = {}) const {
    std::string text;
    for (const TaggedRow& row : read(rows, options).rows) {
      for (const TaggedSpan& span : row.spans) {
        text += row.question.text().substr(span.bytes.begin, span.bytes.end - span.bytes.begin) + "=" +
                span.name + " ";
      }
    }
    return text;
  }
  TemporaryDirectory place_;
};

TEST_F(TaggedRowsTest, BothForms) {
  EXPECT_EQ(spans(R"({"tokens":["Ada","Lovelace","in","Köln"],"tags":["B-PER","I-PER","O","I-LOC"]})"),
            "Ada Lovelace=PER Köln=LOC ");
  EXPECT_EQ(spans(R"({"words":["Ada","Ada"],"ner_tags":["U-PER","U-PER"]}
{"words":["Ada","King","Lovelace","x"],"ner_tags":["B-PER","I-PER","L-PER","O"]})"),
            "Ada=PER Ada=PER Ada King Lovelace=PER ");
  EXPECT_EQ(spans(R"({"text":"Köln, Köln","spans":[{"start":6,"end":10,"label":"LOC"}]})"), "Köln=LOC ");
  EXPECT_EQ(spans(R"({"text":"Köln, Köln","entities":[{"begin":7,"end":12,"label":"LOC"}]})"), "Köln=LOC ");
  EXPECT_EQ(spans(R"({"said":"a b","who":[{"start":2,"end":3,"label":"X"},{"start":0,"end":1,"label":"Y"}]})",
                  {.field = "said", .label_field = "who"}),
            "a=Y b=X ");
  const TaggedRows rows = read(R"({"text":"a  b","spans":[{"start":0,"end":1,"label":"X"}]})");
  EXPECT_EQ(rows.labels.labels(), (std::vector<std::string>{"B-X", "I-X", "O"}));
  ASSERT_EQ(rows.rows[0].words.size(), 2u);
  EXPECT_EQ(rows.rows[0].words[1], (ByteRange{3, 4}));
  place_.write("meta.json", R"({"labels":["O","B-PER","I-PER"]})");
  EXPECT_EQ(spans(R"({"tokens":["Ada","King","x"],"ner_tags":[1,2,0]})"), "Ada King=PER ");
}

TEST_F(TaggedRowsTest, EverythingElseIsRefused) {
  const auto says = [&](const std::string& row, const TaggedOptions& options = {}) {
    return refusal([&] {
      read(R"({"tokens":["a"],"tags":["O"]})"
           "\n" +
               row,
           options);
    });
  };
  const std::pair<const char*, const char*> cases[] = {
      {R"({"tokens":["a","b"],"tags":["O"]})", "2 words and 1 tags"},
      {R"({"tokens":["a"],"tags":"O"})", "1 words and 0 tags"},
      {R"({"tokens":["a",""],"tags":["O","O"]})", "the word \"\""},
      {R"({"tokens":["a"],"tags":[1.5]})", "the tag 1.5"},
      {R"({"tokens":["a"],"tags":[1]})", "tag 1 is beyond the 0 labels"},
      {R"({"text":"abc"})", "none of the fields tags, ner_tags, spans, entities"},
      {R"({"label":"x"})", "none of the fields tokens, words, text"},
      {R"({"text":7,"spans":[]})", "neither words nor a text"},
      {R"({"text":"abc","spans":{"start":0}})", "no array"},
      {R"({"text":"abc","spans":[[0,1,"X"]]})", "lacks start, end or label"},
      {R"({"text":"abc","spans":[{"start":0,"end":1}]})", "lacks start, end or label"},
      {R"({"text":"abc","spans":[{"start":-1,"end":1,"label":"X"}]})", "lacks start"},
      {R"({"text":"abc","spans":[{"start":1,"end":1,"label":"X"}]})", "empty or outside"},
      {R"({"text":"äbc","spans":[{"start":0,"end":4,"label":"X"}]})", "outside of the text of 3 code points"},
      {R"({"text":"äbc","spans":[{"begin":1,"end":4,"label":"X"}]})", "cuts a character"},
      {R"({"text":"abc","spans":[{"start":0,"end":1,"label":"O"}]})", "leave the span out"},
      {R"({"text":"abc","spans":[{"start":0,"end":2,"label":"X"},{"start":1,"end":3,"label":"X"}]})",
       "overlap"},
  };
  for (const auto& [row, sentence] : cases) {
    const std::string what = says(row);
    EXPECT_NE(what.find(sentence), std::string::npos) << row << ": " << what;
    EXPECT_NE(what.find("row 1 (line 2)"), std::string::npos) << what;
  }
  EXPECT_NE(says(R"({"tokens":["a"],"tags":["B-Y"]})", {.labels = {"O", "B-X"}}).find("none of the 3 known"),
            std::string::npos);
  EXPECT_NE(says(R"({"text":"a","spans":[{"start":0,"end":1,"label":"Y"}]})", {.labels = {"O", "B-X"}})
                .find("the label Y"),
            std::string::npos);
}

TEST_F(TaggedRowsTest, Scores) {
  const TaggedRows rows = read(
      R"({"tokens":["Ada","King","in","Ulm"],"tags":["B-PER","I-PER","O","B-LOC"]}
{"tokens":["Ulm","x"],"tags":["B-LOC","O"]})");
  const auto span = [](int64_t begin, int64_t end, const char* label) {
    Span span;
    span.begin = begin, span.end = end, span.label = label;
    return span;
  };
  std::vector<Answer> answers(2);
  // A space before the word is none of it; half of a name is not the name, though its word is right.
  answers[0].value = SpansAnswer{{span(0, 3, "PER"), span(11, 15, "LOC")}, {}};
  answers[1].value = SpansAnswer{{span(0, 3, "PER")}, {}};
  const TagScores scores = score_tags(rows.rows, answers);
  EXPECT_EQ(scores.words, 6);
  EXPECT_EQ(scores.words_right, 4);
  EXPECT_EQ(scores.wanted, 3);
  EXPECT_EQ(scores.found, 3);
  EXPECT_EQ(scores.right, 1);
  EXPECT_DOUBLE_EQ(scores.f1(), 1 / 3.0);
  EXPECT_DOUBLE_EQ(scores.accuracy(), 4 / 6.0);
}

}  // namespace
}  // namespace wattle
