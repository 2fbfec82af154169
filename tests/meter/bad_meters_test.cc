// Meters outside the machine that answer badly, clocks that jump, programs that end badly: one line each,
// never a silent zero.
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <unistd.h>
#include <wattle/error.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "meter/command.h"
#include "meter/helper_process.h"
#include "meter/machine_meter.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

MeterOptions from(const std::string& source) {
  MeterOptions options;
  options.source = source;
  return options;
}

std::string error_of(const std::string& source) {
  try {
    MachineMeter(open_machine("/"), from(source), false);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "opened";
}

/// A meter on the real clock whose source can be spoilt between two readings.
struct SpoiltMeter {
  MachineMeter meter;
  explicit SpoiltMeter(const std::string& source) : meter(open_machine("/"), from(source), false) {}
  /// A window in which the test itself was held up for seconds says just that, and is begun again.
  Energy window(const std::function<void()>& spoil, const std::function<void()>& mend) {
    while (true) {
      const auto begin = meter.begin();
      wait();
      spoil();
      wait();
      mend();
      wait();
      const Energy energy = meter.end(begin, nullptr);
      if (!held_up(energy)) return energy;
    }
  }
  static bool held_up(const Energy& energy) {
    return energy.invalid.find("was not read for") != std::string::npos;
  }
  void wait() {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    meter.poll();
  }
};

/// A smart plug that behaves as it is told.
class Plug {
 public:
  enum class Mood { kGood, kSlow, kSilent, kNonsense, kError, kHalf, kEmpty, kHuge };
  std::atomic<Mood> mood = Mood::kGood;

  Plug() {
    server_.Get("/rpc/Switch.GetStatus",
                [this](const httplib::Request&, httplib::Response& response) { answer(response); });
    server_.Get("/cm", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(R"({"StatusSNS":{"ENERGY":{"Power":12.5}}})", "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    listener_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~Plug() {
    stopping_ = true;
    server_.stop();
    listener_.join();
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void answer(httplib::Response& response) {
    switch (mood) {
      case Mood::kGood:
        return response.set_content(R"({"id":0,"apower":42.0})", "application/json");
      case Mood::kSlow:
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        return response.set_content(R"({"id":0,"apower":42.0})", "application/json");
      case Mood::kSilent:
        for (int i = 0; i < 300 && !stopping_ && mood == Mood::kSilent; ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return;
      case Mood::kNonsense:
        return response.set_content("<html>\n<b>Firmware is being renewed</b>", "text/html");
      case Mood::kError:
        response.status = 500;
        return response.set_content(R"({"apower":7})", "application/json");
      case Mood::kHalf:  // says 100 bytes and ends after 12
        return response.set_content_provider(100, "application/json",
                                             [](size_t, size_t, httplib::DataSink& sink) {
                                               sink.write(R"({"id":0,"apo)", 12);
                                               return false;
                                             });
      case Mood::kEmpty:
        return response.set_content(R"({"id":0,"output":true})", "application/json");
      case Mood::kHuge:
        return response.set_content(std::string(1 << 20, '['), "application/json");
    }
  }
  httplib::Server server_;
  std::thread listener_;
  std::atomic<bool> stopping_ = false;
  int port_ = 0;
};

TEST(Plugs, ThatAnswerAreMeters) {
  Plug plug;
  for (const std::string kind : {"shelly:", "tasmota:"}) {
    MachineMeter meter(open_machine("/"), from(kind + plug.host()), false);
    EXPECT_EQ(meter.grade(), Grade::kMeasured);
    EXPECT_EQ(meter.scope(), "wall");
    Energy energy;
    do {
      const auto begin = meter.begin();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      energy = meter.end(begin, nullptr);
    } while (SpoiltMeter::held_up(energy));
    EXPECT_EQ(energy.invalid, "");
    EXPECT_NEAR(energy.joules / energy.seconds, kind == "shelly:" ? 42 : 12.5, 1e-6);
  }
}

TEST(Plugs, SlowAnswersAreDatedHalfWay) {
  Plug plug;
  plug.mood = Plug::Mood::kSlow;
  SpoiltMeter meter("shelly:" + plug.host());
  const Energy energy = meter.window([] {}, [] {});
  EXPECT_EQ(energy.invalid, "");
  EXPECT_NEAR(energy.joules / energy.seconds, 42, 1e-6);
}

TEST(Plugs, BadAnswersAtTheStartAreRefused) {
  Plug plug;
  const std::string source = "shelly:" + plug.host();
  const std::pair<Plug::Mood, const char*> cases[] = {
      {Plug::Mood::kSilent, "gave no whole answer"},
      {Plug::Mood::kNonsense, "says \"<html> <b>Firmware is being renewed"},
      {Plug::Mood::kError, "answered HTTP 500"},
      {Plug::Mood::kHalf, "gave no whole answer"},
      {Plug::Mood::kEmpty, "which holds no power"},
      {Plug::Mood::kHuge, "answered more than 65536 bytes"}};
  for (const auto& [mood, said] : cases) {
    plug.mood = mood;
    EXPECT_NE(error_of(source).find(said), std::string::npos) << said << "; " << error_of(source);
  }
  EXPECT_NE(error_of("shelly:127.0.0.1:1").find("gave no whole answer"), std::string::npos);
}

TEST(Plugs, BadAnswersLaterInvalidateTheWindowAndSayWhy) {
  Plug plug;
  SpoiltMeter meter("shelly:" + plug.host());
  const std::pair<Plug::Mood, const char*> cases[] = {{Plug::Mood::kNonsense, "says \"<html>"},
                                                      {Plug::Mood::kError, "answered HTTP 500"},
                                                      {Plug::Mood::kHalf, "gave no whole answer"},
                                                      {Plug::Mood::kSilent, "gave no whole answer"}};
  for (const auto& [mood, said] : cases) {
    const Energy bad = meter.window([&] { plug.mood = mood; }, [&] { plug.mood = Plug::Mood::kGood; });
    EXPECT_NE(bad.invalid.find(said), std::string::npos) << bad.invalid;
    EXPECT_GT(bad.joules, 0);
    EXPECT_EQ(meter.window([] {}, [] {}).invalid, "");
  }
}

/// A script that the test writes anew; `exec:` runs it.
class Script {
 public:
  explicit Script(const std::string& name)
      : path_(testing::TempDir() + name + std::to_string(::getpid()) + ".sh") {
    write("echo 30 W");
  }
  ~Script() { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_) << text << "\n"; }
  std::string source() const { return "exec:sh " + path_; }

 private:
  std::string path_;
};

TEST(MeterCommands, ThatHangAreKilledWithTheirProcessGroup) {
  const std::string pids = testing::TempDir() + "pids" + std::to_string(::getpid());
  const auto begin = std::chrono::steady_clock::now();
  const HelperOutput output = run_helper("sleep 1000 & echo $! > " + pids + "; sleep 1000", 0.3);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_FALSE(output.text);
  EXPECT_EQ(output.problem, "did not end within 0.3 s and was stopped");
  pid_t grandchild = 0;
  std::ifstream(pids) >> grandchild;
  std::filesystem::remove(pids);
  ASSERT_GT(grandchild, 0);
  // Its parent is gone; init, or this process where it is the reaper, takes it in.
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    double busy = 0;
    while (reap_other_child(busy) == Reaped::kOne) {
    }
    std::string stat;
    std::getline(std::ifstream("/proc/" + std::to_string(grandchild) + "/stat"), stat);
    gone = stat.empty() || stat.find(") Z") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(gone);
}

TEST(MeterCommands, ThatCloseTheirOutputAndHangAreKilledToo) {
  EXPECT_EQ(run_helper("echo 5 W; exec >&-; sleep 1000", 0.3).problem,
            "did not end within 0.3 s and was stopped");
  EXPECT_EQ(run_helper("while :; do echo 12345678; done", 5).problem, "says more than 4096 bytes");
  EXPECT_EQ(run_helper("kill -SEGV $$", 5).problem, "was killed by signal 11");
  EXPECT_EQ(run_helper("no-such-program-anywhere", 5).problem, "ended with exit status 127");
  EXPECT_EQ(run_helper("echo 5 W", 5).text.value_or(""), "5 W\n");
}

TEST(MeterCommands, BadOnesInvalidateTheWindowAndSayWhy) {
  const Script script("meter");
  SpoiltMeter meter(script.source());
  const std::pair<const char*, const char*> cases[] = {
      {"sleep 1000", "did not end within 2 s and was stopped"},
      {"echo 30 W; exit 3", "ended with exit status 3"},
      {"echo nonsense", "says \"nonsense \", which is no number"},
      {"echo 12 J", "which is in another unit"},
      {"echo -4 W", "which is below zero"},
      {"echo nan W", "which is no number"},
      {"echo 1e30 W", "which cannot be"},
      {"true", "which is no number"}};
  for (const auto& [text, said] : cases) {
    const Energy bad =
        meter.window([&, text = text] { script.write(text); }, [&] { script.write("echo 30 W"); });
    EXPECT_NE(bad.invalid.find(said), std::string::npos) << text << ": " << bad.invalid;
    EXPECT_EQ(bad.invalid.find('\n'), std::string::npos);
    EXPECT_GT(bad.joules, 0);
    EXPECT_NEAR(bad.joules / bad.seconds, 30, 1);
  }
  const Energy good = meter.window([&] { script.write("echo 0.03 kW"); }, [] {});
  EXPECT_EQ(good.invalid, "");
  EXPECT_NEAR(good.joules / good.seconds, 30, 1e-6);
}

/// A machine with a meter in a file, under a clock that the test moves.
struct FileMeter {
  std::unique_ptr<SimulatedMachine> owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  double joules_ahead = 0, watts = 50;
  std::unique_ptr<MachineMeter> meter;

  explicit FileMeter(bool power) {
    show(power);
    meter = std::make_unique<MachineMeter>(std::move(owned), from("file:/meter"), false);
    run(1);
  }
  void show(bool power) {
    machine->files["/meter"] = [this, power] {
      return power ? fmt::format("{} W", watts)
                   : fmt::format("{:.6f} J", 1000 + joules_ahead + watts * (machine->time - 100));
    };
  }
  void run(double seconds) {
    const double until = machine->time + seconds;
    while (machine->time < until) machine->sleep(0.1), meter->poll();
  }
  Energy window(const std::function<void()>& spoil) {
    const auto begin = meter->begin();
    run(2);
    spoil();
    run(2);
    return meter->end(begin, nullptr);
  }
};

TEST(MeterFiles, ThatDisappearAreSaid) {
  for (const bool power : {false, true}) {
    FileMeter one(power);
    const Energy bad = one.window([&] { one.machine->remove("/meter"); });
    EXPECT_NE(bad.invalid.find("file:/meter could not be read"), std::string::npos) << bad.invalid;
    EXPECT_GT(bad.joules, 90);
    one.show(power);
    one.run(1);
    EXPECT_EQ(one.window([] {}).invalid, "");
  }
}

TEST(MeterFiles, ThatGoBackwardsAreSaid) {
  FileMeter one(false);
  const Energy bad = one.window([&] { one.joules_ahead -= 70; });
  EXPECT_NE(bad.invalid.find("went backwards"), std::string::npos) << bad.invalid;
  EXPECT_GT(bad.joules, 150);
  EXPECT_EQ(one.window([] {}).invalid, "");
  const Energy huge = one.window([&] { one.joules_ahead += 1e15; });
  EXPECT_NE(huge.invalid.find("more than any counter holds"), std::string::npos) << huge.invalid;
}

TEST(Clocks, ASuspendedMachineInvalidatesItsWindow) {
  for (const bool power : {false, true}) {
    FileMeter one(power);
    const Energy bad = one.window([&] { one.machine->suspended += 3600; });
    EXPECT_NE(bad.invalid.find("suspended for 3600.0 s"), std::string::npos) << bad.invalid;
    EXPECT_GT(bad.joules, 0);
    EXPECT_EQ(one.window([] {}).invalid, "");
  }
}

TEST(Clocks, SilenceLosesNothingOfACounterAndIsSaidOfPower) {
  FileMeter counter(false);
  const Energy whole = counter.window([&] { counter.machine->sleep(60); });
  EXPECT_EQ(whole.invalid, "");
  EXPECT_NEAR(whole.joules, 64 * 50, 5);
  FileMeter power(true);
  const Energy held = power.window([&] { power.machine->sleep(60); });
  EXPECT_NE(held.invalid.find("was not read for 60"), std::string::npos) << held.invalid;
}

TEST(Clocks, TheMeterKnowsNoClockOfTheWall) {
  // Setting the date must not move any window: nothing in the room may ask for it.
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(WATTLE_SOURCE_DIR) + "/src/meter")) {
    if (entry.path().filename() == "calibrate.cc") continue;  // writes the year into its profile
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    for (const char* wall : {"system_clock", "CLOCK_REALTIME", "gettimeofday", "std::time("})
      EXPECT_EQ(text.find(wall), std::string::npos) << entry.path() << " uses " << wall;
  }
}

TEST(Commands, DaemonsThatLeaveTheirSessionAreSaid) {
  MachineMeter meter(open_machine("/"), from("model"), false);
  const CommandRun run =
      run_command(meter, {{"(setsid sh -c 'sleep 0.4' &) ; exit 0"}, true}, {.quiet = true}, 1);
  EXPECT_NE(run.problem.find("left "), std::string::npos) << run.problem;
  EXPECT_GT(run.energy.joules, 0);
  double busy = 0;
  while (reap_other_child(busy) != Reaped::kNone) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

TEST(Commands, AMeterCommandIsNoProcessLeftBehind) {
  // The sampler's helper runs nearly always: it must neither be taken for the command's nor be stolen.
  MachineMeter meter(open_machine("/"), from("exec:sleep 0.2; echo 30 W"), true);
  for (int i = 0; i < 3; ++i) {
    const CommandRun run = run_command(meter, {{"sleep 0.3"}, true}, {.quiet = true}, 1);
    EXPECT_EQ(run.problem, "");
    // A steady power of unknown refresh cannot tell of half a second, and says so. A machine that is busy
    // elsewhere may need much longer for it.
    EXPECT_TRUE(run.energy.invalid.find("not known yet") != std::string::npos || run.energy.seconds > 0.9 ||
                SpoiltMeter::held_up(run.energy))
        << run.energy.invalid;
    EXPECT_LT(run.busy_seconds, 0.2);
  }
}

}  // namespace
}  // namespace wattle
