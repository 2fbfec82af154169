#include "study/store.h"

#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "study/published.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("wattle-store-" + std::to_string(getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path path() const { return directory_ / "study.db"; }

  fs::path directory_;
};

CellResult cell_named(const std::string& key) {
  CellResult cell;
  cell.key = key;
  cell.rung = "rung \"" + key + "\"";
  cell.kind = "linear";
  cell.precision = "F32";
  return cell;
}

Window window_of(int round, double joules) {
  Window window;
  window.kind = "queries";
  window.round = round;
  window.queries = 10;
  window.energy = {joules,           joules * 0.9, joules * 1.1, joules / 4, 2,
                   Grade::kModelled, "model:test", "vcpu",       1};
  window.energy.systematic = 2, window.energy.idle_known = true;
  window.energy.model.terms = {{ModelTerm::kFull, joules, 0.5, 1, 2}};
  window.readings = R"({"model":{}})", window.readings_sha256 = "cd";
  window.latencies_ms = {1, 2, 3};
  window.outputs_sha256 = "ab";
  window.conditions = "{}";
  return window;
}

void fill(Store& store) {
  store.set_text("plan", to_yaml(parse_plan("data: d\nrounds: 2\nrungs: [{kind: linear}]", "p")));
  store.set_text("labels", R"(["no","yes"])");
  store.set_truths({R"({"label":"no"})", R"({"label":"yes"})", R"({"label":"yes"})", R"({"label":"no"})"});
  store.set_cells({cell_named("a"), cell_named("b")});
  const std::vector<std::string> metrics{"accuracy", "macro_f1"};
  store.add_window("a", window_of(0, 36),
                   {{0, R"({"label":"no"})", {{1}, {0, 0}}}, {1, R"({"label":"no"})", {{0}, {1, 0}}}},
                   metrics);
  store.add_window("a", window_of(1, 40),
                   {{2, R"({"label":"yes"})", {{1}, {1, 1}}}, {3, R"({"label":"no"})", {{1}, {0, 0}}}},
                   metrics);
}

TEST_F(StoreTest, GivesBackWhatItWasGiven) {
  {
    Store store(path(), Store::Mode::kReadWrite);
    fill(store);
    CellResult described = cell_named("b");
    described.bits_per_weight = 4.5;
    described.error = "it broke; mend it";
    store.set_description(described);
  }
  Store store(path(), Store::Mode::kReadOnly);
  Results results = store.read();
  summarise(results);
  ASSERT_EQ(results.cells.size(), 2u);
  const CellResult& a = results.cells[0];
  EXPECT_EQ(a.rung, "rung \"a\"");
  EXPECT_EQ(a.samples[1].latencies_ms, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(a.samples[1].energy.joules, 40);
  EXPECT_EQ(a.samples[1].readings, R"({"model":{}})");
  EXPECT_EQ(a.samples[1].readings_sha256, "cd");
  EXPECT_EQ(a.n, 4);
  EXPECT_DOUBLE_EQ(a.quality->value, 0.75);
  EXPECT_NEAR(a.metrics.at("macro_f1").value, (0.8 + 2.0 / 3) / 2, 1e-12);
  EXPECT_EQ(a.outputs[1].answer, R"({"label":"no"})");
  EXPECT_EQ(a.outputs[1].scores, (std::vector<std::vector<double>>{{0}, {1, 0}}));
  // 3.6 and 4 J a query are 1 and 1.11 Wh per 1,000.
  EXPECT_NEAR(a.wh_per_1000->value, std::sqrt(36.0 * 40) / 10 / 3.6, 1e-12);
  EXPECT_FALSE(a.wh_per_1000->bounded());  // two windows
  EXPECT_EQ(a.samples[1].energy.systematic, 2);
  EXPECT_TRUE(a.samples[1].energy.idle_known);
  ASSERT_EQ(a.samples[1].energy.model.terms.size(), 1u);
  EXPECT_EQ(a.samples[1].energy.model.terms[0].amount, 40);
  EXPECT_EQ(results.cells[1].error, "it broke; mend it");
  EXPECT_EQ(results.cells[1].bits_per_weight, 4.5);
  EXPECT_FALSE(results.cells[1].wh_per_1000);
}

TEST_F(StoreTest, KnowsWhichRoundsAreDone) {
  Store store(path(), Store::Mode::kReadWrite);
  fill(store);
  Window rejected = window_of(2, 50);
  rejected.accepted = false;
  store.add_window("a", rejected, {});
  EXPECT_EQ(store.finished_rounds("a"), (std::vector<int>{0, 1}));
  EXPECT_TRUE(store.finished_rounds("b").empty());
}

TEST_F(StoreTest, CellsThatThePlanDroppedAreKeptUnseen) {
  Store store(path(), Store::Mode::kReadWrite);
  fill(store);
  store.set_cells({cell_named("b")});
  EXPECT_EQ(store.read().cells.size(), 1u);
  store.set_cells({cell_named("b"), cell_named("a")});
  EXPECT_EQ(store.read().cells[1].samples.size(), 2u);
}

TEST_F(StoreTest, PublishedFiguresAreRead) {
  Store store(path(), Store::Mode::kReadWrite);
  fill(store);
  Results results = store.read();
  EXPECT_FALSE(results.cells[0].wh_per_1000);
  summarise(results);
  store.publish(results);
  const Results again = store.read();
  EXPECT_EQ(published_figures(again.cells[0]), published_figures(results.cells[0]));
}

TEST_F(StoreTest, RefusesStoresWithoutRawSamples) {
  fill(*std::make_unique<Store>(path(), Store::Mode::kReadWrite));
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(68) << "WTT3";  // SQLite's application id
  file.close();
  for (const Store::Mode mode : {Store::Mode::kReadOnly, Store::Mode::kReadWrite}) {
    try {
      const Store store(path(), mode);
      FAIL() << "a store of an earlier version was opened";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("an earlier version wrote this study"), std::string::npos);
    }
  }
}

TEST_F(StoreTest, RefusesOtherFiles) {
  EXPECT_THROW(load_results(directory_ / "nothing"), Error);
  std::ofstream(path()) << "this is no database, and long enough to be sure of it";
  EXPECT_THROW(Store(path(), Store::Mode::kReadOnly), Error);
  EXPECT_THROW(Store("/proc/nothing/study.db", Store::Mode::kReadWrite), Error);
}

}  // namespace
}  // namespace wattle
