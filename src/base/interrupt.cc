#include "base/interrupt.h"

#include <csignal>

#include <wattle/error.h>

namespace wattle::inline base {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

void on_signal(int signal) {
  interrupt_seen = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void watch_for_interrupt() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() {
  return interrupt_seen != 0;
}

void throw_if_interrupted() {
  if (interrupted()) throw Error("interrupted; what was finished is kept", 130);
}

}  // namespace wattle::inline base
