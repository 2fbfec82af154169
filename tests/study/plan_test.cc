#include <gtest/gtest.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "quant/format.h"

namespace wattle {
namespace {

std::string sentence_of(const std::string& yaml) {
  try {
    parse_plan(yaml, "plan.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    return error.what();
  }
  return "no error";
}

const std::string kData = "data: d\n";
const std::string kRungs = "rungs: [{kind: majority}]\n";

struct BadPlan {
  const char* about;
  std::string yaml, place, words;
};

class BadPlans : public testing::TestWithParam<BadPlan> {};

TEST_P(BadPlans, SayFileLineAndCure) {
  const BadPlan& bad = GetParam();
  const std::string sentence = sentence_of(bad.yaml);
  EXPECT_EQ(sentence.rfind("plan.yaml:" + bad.place + ": ", 0), 0u) << sentence;
  EXPECT_NE(sentence.find(bad.words), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
}

INSTANTIATE_TEST_SUITE_P(
    Plan, BadPlans,
    testing::Values(
        BadPlan{"empty", "", "1", "empty"}, BadPlan{"not yaml", "data: [a\nrungs: b: c", "2", "not YAML"},
        BadPlan{"a list", "- a", "1", "mapping"}, BadPlan{"no data", kRungs, "1", "needs `data`"},
        BadPlan{"no rungs", kData, "1", "needs `rungs`"},
        BadPlan{"empty rungs", kData + "rungs: []", "2", "at least one"},
        BadPlan{"unknown key", kData + kRungs + "treads: 2", "3",
                "`treads` is not a key of a plan; it knows"},
        BadPlan{"key twice", kData + "seed: 1\nseed: 2\n" + kRungs, "3", "given twice"},
        BadPlan{"wrong type", kData + kRungs + "rounds: many", "3",
                "`rounds` must be a whole number from 1 to 1000"},
        BadPlan{"a mapping for a number", kData + kRungs + "rounds: {a: 1}", "3", "whole number"},
        BadPlan{"fraction", kData + kRungs + "rounds: 2.5", "3", "not \"2.5\""},
        BadPlan{"out of range", kData + kRungs + "quality: 1.5", "3", "number from 0 to 1"},
        BadPlan{"not a number", kData + kRungs + "quality: nan", "3", "number from 0 to 1"},
        BadPlan{"metric", kData + kRungs + "metric: blue", "3",
                "there is no metric \"blue\"; take one of accuracy"},
        BadPlan{"beams of a server",
                kData + "task: generate\nrungs:\n  - {kind: server, url: \"http://a\", beams: 2}", "4",
                "`beams` is not a key"},
        BadPlan{"columns of texts", kData + kRungs + "leave_out: [a]", "3", "`leave_out` is not a key"},
        BadPlan{"split", kData + kRungs + "split: random", "3", "hash"},
        BadPlan{"rounds", kData + kRungs + "max_rounds: 2", "3", "at least `rounds`"},
        BadPlan{"half of the files", "data: {train: a}\n" + kRungs, "1", "{train: FILE, eval: FILE}"},
        BadPlan{"unknown file", "data: {train: a, eval: b, test: c}\n" + kRungs, "1", "`test` is not a key"},
        BadPlan{"rows", kData + kRungs + "rows: {eval: 0}", "3", "`eval` must be"},
        BadPlan{"kind", kData + "rungs:\n  - kind: magic", "3", "not \"magic\""},
        BadPlan{"no kind", kData + "rungs:\n  - name: x", "3", "`kind` must be"},
        BadPlan{"no embeddings", kData + "rungs:\n  - kind: nearest", "3", "needs `model`"},
        BadPlan{"no model", kData + "rungs:\n  - kind: head", "3", "needs `model`"},
        BadPlan{"precision", kData + "rungs:\n  - kind: head\n    model: m\n    precisions: [F32, Q9]", "5",
                "Q9"},
        BadPlan{"precision twice", kData + "rungs:\n  - {kind: head, model: m, precisions: [F32, f32]}", "3",
                "twice"},
        BadPlan{"precision of a rule", kData + "rungs:\n  - {kind: linear, precisions: [F32]}", "3",
                "`precisions` is not a key of a rung"},
        BadPlan{"prompt", kData + "rungs:\n  - {kind: zero-shot, model: m, prompt: what}", "3", "{text}"},
        BadPlan{"no prompt", kData + "rungs:\n  - {kind: zero-shot, model: m}", "3", "{text}"},
        BadPlan{"names", kData + "rungs:\n  - kind: linear\n  - kind: linear", "4",
                "two rungs are called \"linear\""},
        BadPlan{"task", kData + "task: paint\n" + kRungs, "2", "there is no task \"paint\" of a study"},
        BadPlan{"a learner of labels for another task", kData + "task: summarise\n" + kRungs, "3",
                "a majority rung gives labels, and the plan's task is summarise"},
        BadPlan{"label of another task",
                kData + "task: summarise\nlabel: x\nrungs: [{kind: model, model: m}]", "3",
                "`label` is not a key of a plan"},
        BadPlan{"fields of classify", kData + "fields: {text: t}\n" + kRungs, "2", "`fields` is not a key"},
        BadPlan{"metric twice", kData + "metric: [accuracy, accuracy]\n" + kRungs, "2",
                "names accuracy twice"},
        BadPlan{
            "texts of a table", kData + "task: table\nrungs: [{kind: keywords}]", "3",
            "a keywords rung reads texts, and the plan's task is table; take majority, linear, forest or"},
        BadPlan{"label of a table", kData + "task: table\nlabel: x\n" + kRungs, "3",
                "`label` is not a key of a plan"},
        BadPlan{"label and score", kData + "task: table\nfields: {label: a, score: b}\n" + kRungs, "3",
                "name one of them"},
        BadPlan{"labels of numbers", kData + "task: table\nfields: {score: b}\nlabels: [a, b]\n" + kRungs,
                "4", "`labels` is not a key of a plan"},
        BadPlan{"metric of numbers", kData + "task: table\nfields: {label: a}\nmetric: rmse\n" + kRungs, "4",
                "rmse does not score labels"},
        BadPlan{"metric of labels", kData + "task: table\nfields: {score: a}\nmetric: accuracy\n" + kRungs,
                "4", "accuracy does not score numbers, which the task table gives for a `score`; take rmse"},
        BadPlan{"command", kData + "rungs:\n  - {kind: command}", "3", "needs `command`"},
        BadPlan{"model of a command", kData + "rungs:\n  - {kind: command, command: [x], model: m}", "3",
                "`model` is not a key of a rung"},
        BadPlan{"server", kData + "rungs:\n  - {kind: server, url: localhost}", "3", "needs `url`"},
        BadPlan{"api", kData + "rungs:\n  - {kind: server, url: \"http://h\", api: soap}", "3",
                "`api` must be"},
        BadPlan{"stages", kData + "rungs:\n  - {kind: linear}\n  - {kind: cascade, stages: [linear]}", "4",
                "at least two"},
        BadPlan{"a stage", kData + "rungs:\n  - {kind: linear}\n  - {kind: cascade, stages: [linear, big]}",
                "3", "has a stage \"big\", which is no other rung"},
        BadPlan{"translate", kData + "rungs:\n  - {kind: model, model: m, to: German}", "3",
                "`to` is not a key of a rung"},
        BadPlan{"examples", kData + "rungs:\n  - {kind: model, model: m, examples: 2}", "3",
                "stand before a `prompt`"},
        BadPlan{"empty text", kData + "rungs:\n  - {kind: linear, name: ''}", "3", "is empty"}),
    [](const auto& info) {
      std::string name = info.param.about;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

TEST(Plan, ReadsAllKeysAndComesBackFromItsOwnYaml) {
  const Plan plan = parse_plan(R"(
name: calls
data: {train: t.csv, eval: e.csv}
text: message
label: kind
split: hash
eval_share: 0.3
rows: {train: 100, eval: 50}
metric: macro_f1
quality: 0.9
threads: 2
rounds: 7
max_rounds: 9
interval: 0.02
window_seconds: 0.5
warm_up_seconds: 1
disturbance: 0.2
attempts: 4
time_limit_seconds: 60
meter: model
seed: 12
rungs:
  - kind: keywords
  - {kind: head, model: all-minilm-l6-v2, precisions: [f32, q8_0, W8A8, "q4_k, output=q6_k,cache=f32"]}
  - kind: zero-shot
    name: tiny
    model: m.gguf
    prompt: "Kind of: {text}\n"
    examples: 3
    words: {a: "yes: \"quoted\"", b: no}
)",
                               "plan.yaml");
  EXPECT_EQ(plan.text, "message");
  EXPECT_EQ(plan.metrics, std::vector<std::string>{"macro_f1"});
  EXPECT_EQ(plan.max_eval, 50);
  ASSERT_EQ(plan.rungs.size(), 3u);
  EXPECT_EQ(plan.rungs[0].name, "keywords");
  EXPECT_EQ(plan.rungs[1].precisions,
            (std::vector<std::string>{"F32", "Q8_0", "W8A8", "Q4_K,output=Q6_K,cache=F32"}));
  EXPECT_EQ(plan.rungs[2].precisions, (std::vector<std::string>{"as-published"}));
  EXPECT_EQ(plan.rungs[2].words.at("a"), "yes: \"quoted\"");
  EXPECT_EQ(plan.rungs[2].examples, 3);
  const std::string yaml = to_yaml(plan);
  EXPECT_EQ(to_yaml(parse_plan(yaml, "again.yaml")), yaml);
}

TEST(Plan, EveryKindOfRungComesBackFromItsOwnYaml) {
  const Plan plan = parse_plan(R"(
data: d
labels: [no, "yes"]
metric: [accuracy, macro_f1]
rungs:
  - kind: linear
  - {kind: model, name: tagger, model: m.gguf, precisions: [Q8_0, Q4_0], words: {no: nein}}
  - {kind: command, name: sklearn, command: [python3, "a b.py", --fast]}
  - {kind: server, name: tgi, url: "http://127.0.0.1:8080", api: huggingface, model: big, pid: 7}
  - {kind: server, name: far, url: "https://example.org", meter: "exec:ssh far meter", prompt: "Kind? {text}", examples: 2}
  - {kind: cascade, stages: [linear, tagger Q8_0], target: 0.98}
)",
                               "plan.yaml");
  EXPECT_EQ(plan.task, "classify");
  EXPECT_EQ(plan.labels, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(plan.metrics, (std::vector<std::string>{"accuracy", "macro_f1"}));
  EXPECT_FALSE(plan.quality);
  EXPECT_EQ(plan.rungs[2].command, (std::vector<std::string>{"python3", "a b.py", "--fast"}));
  EXPECT_EQ(plan.rungs[3].pid, 7);
  EXPECT_EQ(plan.rungs[4].api, "openai");
  EXPECT_EQ(plan.rungs[5].stages[1], "tagger Q8_0");
  EXPECT_EQ(plan.rungs[5].target, 0.98);
  const std::string yaml = to_yaml(plan);
  EXPECT_EQ(to_yaml(parse_plan(yaml, "again.yaml")), yaml);
}

TEST(Plan, TablesHaveALabelOrAScore) {
  for (const auto& [fields, metric] :
       {std::pair("", "accuracy"), std::pair("fields: {label: income}\n", "accuracy"),
        std::pair("fields: {score: alcohol}\nleave_out: [id, name]\n", "rmse")}) {
    const Plan plan = parse_plan(std::string("data: d\ntask: table\n") + fields +
                                     "rungs: [{kind: majority}, {kind: linear}, {kind: forest}, {kind: "
                                     "command, command: [x]}]\n",
                                 "plan.yaml");
    EXPECT_EQ(plan.metrics, std::vector<std::string>{metric});
    const std::string yaml = to_yaml(plan);
    EXPECT_EQ(to_yaml(parse_plan(yaml, "again.yaml")), yaml);
    EXPECT_EQ(parse_plan(yaml, "again.yaml").fields, plan.fields);
    EXPECT_EQ(parse_plan(yaml, "again.yaml").leave_out, plan.leave_out);
  }
}

TEST(Plan, AModelMaySearchWithBeams) {
  const Plan plan = parse_plan(
      "data: d\ntask: summarise\nrungs: [{kind: model, model: m.gguf, beams: 4, max_tokens: 20}]\n",
      "plan.yaml");
  EXPECT_EQ(plan.rungs[0].beams, 4);
  const std::string yaml = to_yaml(plan);
  EXPECT_EQ(to_yaml(parse_plan(yaml, "again.yaml")), yaml);
}

TEST(Plan, EveryExampleIsRead) {
  int count = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(WATTLE_SOURCE_DIR "/examples/plans")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().string());
    EXPECT_NO_THROW(read_plan(entry.path()));
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace wattle
