// Meter commands of exec: that hang, talk too much, or run while signals come.
#include "meter/helper_process.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace wattle {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void ignore(int) {}

/// Signals that come to one thread until the end of the scope, as those of ended children do: with a handler
/// that has system calls go on.
class Signals {
 public:
  explicit Signals(pthread_t thread) {
    struct sigaction action {};
    action.sa_handler = ignore;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGUSR1, &action, &before_);
    sender_ = std::thread([this, thread] {
      for (; !over_; std::this_thread::sleep_for(std::chrono::milliseconds(3)))
        ::pthread_kill(thread, SIGUSR1);
    });
  }
  ~Signals() {
    over_ = true;
    sender_.join();
    ::sigaction(SIGUSR1, &before_, nullptr);
  }

 private:
  struct sigaction before_ {};
  std::atomic<bool> over_ = false;
  std::thread sender_;
};

TEST(HelperProcess, OneThatHangsIsStoppedWhateverSignalsCome) {
  const auto begin = std::chrono::steady_clock::now();
  const Signals signals(::pthread_self());
  const HelperOutput hung = run_helper("sleep 30", 0.3);
  EXPECT_FALSE(hung.text);
  EXPECT_EQ(hung.problem, "did not end within 0.3 s and was stopped");
  // One that has closed its output and goes on.
  EXPECT_FALSE(run_helper("echo 5 W; exec >&-; sleep 30", 0.3).text);
  // One whose child keeps the output.
  EXPECT_FALSE(run_helper("sleep 30 & echo 5 W", 0.3).text);
  EXPECT_LT(seconds_since(begin), 25);  // none of the sleeps was waited for
}

TEST(HelperProcess, AnswersAreWholeWhateverSignalsCome) {
  const Signals signals(::pthread_self());
  EXPECT_EQ(run_helper("sleep 0.1; echo 12; sleep 0.1; echo W", 20).text, "12\nW\n");
  EXPECT_EQ(run_helper("head -c 5000 /dev/zero", 20).problem, "says more than 4096 bytes");
  EXPECT_EQ(run_helper("exit 3", 20).problem, "ended with exit status 3");
}

}  // namespace
}  // namespace wattle
