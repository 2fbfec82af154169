#include "study/plan_variants.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <wattle/error.h>

namespace wattle {
namespace {

const std::string kPlan = R"(name: p
data: d
quick: {rungs: [small], precisions: [Q8_0], rows: 7}
rungs:
  - {name: small, kind: model, model: "shape:bert-tiny+sequence=a,b", precisions: [F32, Q8_0],
     published: {model: someone/small, words: {a: LABEL_0}}}
  - {name: large, kind: model, model: "shape:bert-base-uncased+sequence=a,b", precisions: [F32]}
)";

TEST(PlanVariants, QuickMeasuresWhatThePlanNames) {
  Plan plan = parse_plan(kPlan, "p");
  make_quick(plan);
  ASSERT_EQ(plan.rungs.size(), 1u);
  EXPECT_EQ(plan.rungs[0].precisions, std::vector<std::string>{"Q8_0"});
  EXPECT_EQ(plan.max_eval, 7);
  EXPECT_EQ(plan.rounds, 2);
  // What is quick already names nothing more.
  EXPECT_EQ(parse_plan(to_yaml(plan), "p").quick.rows, 0);
}

TEST(PlanVariants, QuickWithoutNamesTakesAllOfIt) {
  Plan plan = parse_plan("data: d\nrungs: [{kind: linear}]\nrows: {eval: 50}\n", "p");
  make_quick(plan);
  EXPECT_EQ(plan.rungs.size(), 1u);
  EXPECT_EQ(plan.max_eval, 50);
}

TEST(PlanVariants, QuickNamesWhatThereIs) {
  for (const char* quick : {"{rungs: [none]}", "{precisions: [Q2_K]}", "{rows: 0}", "{colour: red}"}) {
    const std::string plan = kPlan + "seed: 2\n";
    const size_t begin = plan.find("quick: "), end = plan.find('\n', begin);
    EXPECT_THROW(parse_plan(plan.substr(0, begin) + "quick: " + quick + plan.substr(end), "p"), Error)
        << quick;
  }
}

TEST(PlanVariants, PublishedWeightsTakeTheShapesPlace) {
  Plan plan = parse_plan(kPlan, "p");
  EXPECT_EQ(parse_plan(to_yaml(plan), "p").rungs[0].published.words.at("a"), "LABEL_0");
  EXPECT_EQ(to_yaml(parse_plan(to_yaml(plan), "p")), to_yaml(plan));
  take_published_weights(plan);
  EXPECT_EQ(plan.rungs[0].model, "someone/small");
  EXPECT_EQ(plan.rungs[0].words.at("a"), "LABEL_0");
  EXPECT_EQ(plan.rungs[1].model, "shape:bert-base-uncased+sequence=a,b");
  EXPECT_THROW(take_published_weights(plan), Error);
}

TEST(PlanVariants, ThePapersPlansAreRead) {
  const std::filesystem::path folder = WATTLE_SOURCE_DIR "/examples/plans/power-hungry";
  size_t plans = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++plans;
    Plan plan = read_plan(entry.path());
    EXPECT_EQ(to_yaml(parse_plan(to_yaml(plan), "p")), to_yaml(plan)) << entry.path();
    Plan quick = plan;
    make_quick(quick);
    EXPECT_LT(quick.rungs.size(), plan.rungs.size()) << entry.path();
    EXPECT_GE(plan.rungs.size(), 8u) << entry.path();
    for (const Rung& rung : plan.rungs) {
      EXPECT_EQ(rung.precisions.size(), 10u) << entry.path() << " " << rung.name;
      EXPECT_TRUE(rung.model.starts_with("shape:")) << rung.name;
      EXPECT_NE(rung.published.model.find('/'), std::string::npos) << rung.name;
    }
    take_published_weights(plan);
  }
  EXPECT_EQ(plans, 13u);
}

}  // namespace
}  // namespace wattle
