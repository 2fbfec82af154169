// Windows of simulated machines, computed again from their raw samples by the report's own arithmetic.
#include "report/raw_figures.h"

#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "meter/zoo_machines.h"
#include "meter/zoo_sensors.h"
#include "report/report.h"
#include "study/store.h"

namespace wattle {
namespace {

constexpr int kSeedsOfKind = 20;

struct Measured {
  Energy energy;
  RawWindow raw;
  double truth = 0;
};

/// Idle and then a window of a machine; every fourth seed has no idle.
Measured window_on(void (*build)(Scene&), int seed) {
  Scene scene;
  scene.random.seed(static_cast<uint64_t>(seed) * 104729 + 5);
  build(scene);
  SimulatedMachine& machine = *scene.machine;
  MachineMeter meter(std::move(scene.machine), scene.options, false);
  run_until(meter, scene, machine, kStart + kLeadIn);
  if (seed % 4 > 0) meter.measure_idle(1);
  const double from = machine.time;
  const auto begin = meter.begin();
  run_until(meter, scene, machine, from + scene.uniform(0.5, 12));
  Measured measured;
  measured.energy = meter.end_foreign(
      begin, [&] { return 0.4 * (machine.time - from); }, Settle::kYes, &measured.raw);
  measured.raw = raw_window_from_json(to_json_text(measured.raw));
  return measured;
}

void expect_same(const Energy& energy, const RawFigure& figure, const std::string& where) {
  const auto expect_near = [&](const char* what, double stored, double computed) {
    EXPECT_NEAR(stored, computed, 1e-9 * std::max(std::abs(stored), energy.joules)) << where << ": " << what;
  };
  expect_near("joules", energy.joules, figure.joules);
  expect_near("low", energy.low, figure.low);
  expect_near("high", energy.high, figure.high);
  expect_near("systematic", energy.systematic, figure.systematic);
  expect_near("resolution", energy.resolution, figure.resolution);
  expect_near("seconds", energy.seconds, figure.seconds);
  EXPECT_EQ(energy.idle_known, figure.idle_known) << where;
  EXPECT_EQ(energy.source, figure.source) << where;
  if (!energy.idle_known) return;
  expect_near("idle", energy.idle_joules, figure.idle);
  expect_near("idle_half", energy.idle_half, figure.idle_half);
}

void check_kind(const Kind& kind) {
  double bytes = 0;
  for (int seed = 0; seed < kSeedsOfKind; ++seed) {
    const Measured measured = window_on(kind.build, seed);
    bytes += static_cast<double>(to_json_text(measured.raw).size());
    const RawFigure figure = figure_of(measured.raw);
    if (measured.energy.invalid.find("could not be read") != std::string::npos) {
      EXPECT_NE(figure.unread, "");
    }
    if (!measured.energy.invalid.empty()) continue;
    EXPECT_EQ(figure.unread, "");
    EXPECT_GT(figure.joules, 0);
    expect_same(measured.energy, figure, fmt::format("{}, seed {}", kind.name, seed));
  }
  printf("%-26s %6.0f bytes a window of 0.5 to 12 s with its idle\n", kind.name, bytes / kSeedsOfKind);
}

TEST(RawFigures, AreThoseOfTheMeterOnEverySimulatedMachine) {
  for (const Kind& kind : kKinds) check_kind(kind);
  for (const Kind& kind : kSensorKinds) check_kind(kind);
}

void modelled(Scene& s) {
  s.intel();
  s.options.source = "model";
}
void modelled_package(Scene& s) {
  s.machine->put(
      "/proc/cpuinfo",
      "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Test\n"
      "stepping\t: 4\ncpu MHz\t\t: 2400\ncpu cores\t: 1\nphysical id\t: 0\nflags\t\t: fpu\n");
  s.options.source = "model-package";
}
/// A board that counts beside a processor that does not.
void modelled_beside_a_board(Scene& s) {
  gpu_energy(s);
  s.machine->remove("/sys/class/powercap");
}

TEST(RawFigures, AreThoseOfTheModelAndOfBothTogether) {
  for (const Kind& kind : {Kind{"modelled", modelled}, Kind{"modelled package", modelled_package},
                           Kind{"modelled beside a board", modelled_beside_a_board}}) {
    check_kind(kind);
    const Measured measured = window_on(kind.build, 1);
    EXPECT_EQ(measured.energy.grade, Grade::kModelled);
    ASSERT_TRUE(measured.raw.model);
  }
  EXPECT_EQ(window_on(modelled_beside_a_board, 1).raw.sources.size(), 1u);
}

/// Power that is read at single moments by a plug: noisy, slow, or steady.
void plug_of(Scene& s, double refresh) {
  SimulatedMachine* m = s.machine.get();
  const auto truth = s.counted_power(20, 100);
  Instrument instrument = s.counter(0.02, refresh, 0.1);
  instrument.noise = s.uniform(0, 1) < 0.5 ? 0 : 0.02;
  m->files["/power"] = [=] { return fmt::format("{:.3f}", instrument.watts(*truth, m->time, false)); };
  s.options.source = "file:/power,W";
}
void plug(Scene& s) {
  plug_of(s, s.uniform(0.05, 1.5));
}
void quick_plug(Scene& s) {
  plug_of(s, 0.1);
}
TEST(RawFigures, AreThoseOfAPlug) {
  check_kind({"plug", plug});
}

/// A study of one cell on the simulated machines, through its store.
class VerifyWindows : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / ("wattle-raw-" + std::to_string(getpid()) + ".db");
    study_.plan = parse_plan("name: t\ndata: d\nrungs: [{kind: majority}]\n", "p");
    CellResult& cell = study_.cells.emplace_back();
    cell.key = cell.rung = "rung";
    for (const Kind& kind :
         {Kind{"dram", powercap_with_dram}, Kind{"plug", quick_plug}, Kind{"model", modelled}}) {
      for (int seed = 1; seed <= 2; ++seed) {
        const Measured measured = window_on(kind.build, seed);
        ASSERT_EQ(measured.energy.invalid, "");
        Window& window = cell.samples.emplace_back();
        window.kind = "queries", window.queries = 1, window.round = static_cast<int>(cell.samples.size()) - 1;
        window.energy = measured.energy;
        window.readings = to_json_text(measured.raw), window.readings_sha256 = sha256_hex(window.readings);
      }
    }
    Store store(path_, Store::Mode::kReadWrite);
    store.set_text("plan", to_yaml(study_.plan));
    store.set_cells(study_.cells);
    for (const Window& window : cell.samples) store.add_window("rung", window);
    study_ = store.read();
    ASSERT_EQ(study_.cells.at(0).samples.size(), 6u);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Window& window(size_t place) { return study_.cells[0].samples[place]; }
  /// Changes the samples of a window as one would who also mends their hash.
  void change(size_t place, const std::function<void(RawWindow&)>& how) {
    RawWindow raw = raw_window_from_json(window(place).readings);
    how(raw);
    window(place).readings = to_json_text(raw);
    window(place).readings_sha256 = sha256_hex(window(place).readings);
  }
  void expect_found(const std::string& words) {
    const std::vector<std::string> found = verify_windows(study_);
    ASSERT_EQ(found.size(), 1u) << words;
    EXPECT_NE(found[0].find(words), std::string::npos) << found[0];
  }

  std::filesystem::path path_;
  Results study_;
};

TEST_F(VerifyWindows, FollowFromTheSamplesThatTheStoreKept) {
  EXPECT_EQ(verify_windows(study_), std::vector<std::string>{});
}

TEST_F(VerifyWindows, FindsAWindowThatWasChanged) {
  const Results whole = study_;
  const std::pair<double Energy::*, const char*> fields[] = {{&Energy::joules, "joules"},
                                                             {&Energy::low, "the lower bound"},
                                                             {&Energy::high, "the upper bound"},
                                                             {&Energy::systematic, "the repeated part"},
                                                             {&Energy::resolution, "the resolution"},
                                                             {&Energy::idle_joules, "idle"},
                                                             {&Energy::idle_half, "idle's half-width"},
                                                             {&Energy::seconds, "the length"}};
  for (const size_t place : {0u, 2u, 4u}) {
    for (const auto& [field, words] : fields) {
      study_ = whole;
      if (window(place).energy.*field == 0) continue;  // of a model: no part of it is independent
      window(place).energy.*field *= 1.01;
      expect_found(words);
    }
  }
  study_ = whole;
  window(4).energy.model.terms[1].amount *= 1.01;
  expect_found("the model's term of full");
  study_ = whole;
  window(0).energy.grade = Grade::kModelled;
  expect_found("the grade");
  study_ = whole;
  window(0).energy.source = "nvml";
  expect_found("the source");
}

TEST_F(VerifyWindows, FindsEverySampleThatWasChangedOrIsMissing) {
  const Results whole = study_;
  for (const size_t place : {0u, 2u}) {
    const std::string kept = window(place).readings;
    const size_t n = raw_window_from_json(kept).sources[0].window.channels[0].readings.size();
    ASSERT_GT(n, 4u);
    for (size_t sample = 0; sample < n; ++sample) {
      for (const bool missing : {false, true}) {
        study_ = whole;
        RawWindow raw = raw_window_from_json(kept);
        auto& readings = raw.sources[0].window.channels[0].readings;
        if (missing)
          readings.erase(readings.begin() + static_cast<ptrdiff_t>(sample));
        else
          ++readings[sample].counts, readings[sample].watts += 0.1;
        window(place).readings = to_json_text(raw);
        expect_found("SHA-256 differs");
      }
    }
  }
  study_ = whole;
  window(4).readings.clear();
  expect_found("has no raw samples");
}

TEST_F(VerifyWindows, FindsSamplesThatWereChangedTogetherWithTheirHash) {
  const Results whole = study_;
  const auto expect = [&](size_t place, const std::string& words,
                          const std::function<void(RawWindow&)>& how) {
    study_ = whole;
    change(place, how);
    expect_found(words);
  };
  expect(0, "joules", [](RawWindow& raw) {
    for (RawReading& reading : raw.sources[0].window.channels[0].readings) {
      if (reading.time >= raw.sources[0].window.end) reading.counts += 1000;
    }
  });
  expect(0, "joules", [](RawWindow& raw) { raw.sources[0].window.channels.pop_back(); });
  expect(0, "joules", [](RawWindow& raw) { raw.sources[0].window.channels[0].unit *= 2; });
  expect(0, "idle", [](RawWindow& raw) { raw.sources[0].idle->channels[0].readings.back().counts += 1000; });
  expect(0, "idle is known by the window or its raw samples alone",
         [](RawWindow& raw) { raw.sources[0].idle.reset(); });
  expect(0, "the lower bound", [](RawWindow& raw) { raw.sources[0].window.channels[0].accuracy = 0.04; });
  expect(0, "could not be read", [](RawWindow& raw) {
    for (RawReading& reading : raw.sources[0].window.channels[0].readings) {
      if (reading.time >= raw.sources[0].window.end) reading.ok = false;
    }
  });
  expect(2, "joules", [](RawWindow& raw) { raw.sources[0].window.channels[0].readings.back().watts += 5; });
  expect(4, "joules", [](RawWindow& raw) { raw.model->busy_seconds *= 1.001; });
  expect(4, "the lower bound", [](RawWindow& raw) { raw.model->parameters[1].low *= 0.9; });
  study_ = whole;
  window(0).readings = "{\"sources\": 3}", window(0).readings_sha256 = sha256_hex(window(0).readings);
  expect_found("are damaged");
  window(0).readings = "{}", window(0).readings_sha256 = sha256_hex("{}");
  expect_found("no source and no model");
}

}  // namespace
}  // namespace wattle
