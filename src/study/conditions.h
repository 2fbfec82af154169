#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

namespace wattle::inline study {

/// What else happened on the machine while a window ran: differences of the kernel's counters and states read
/// at its end. Things that the machine does not tell are absent from the JSON rather than zero.
class Conditions {
 public:
  /// `own_seconds` is the processor time of what is measured; empty: of this process.
  explicit Conditions(std::function<double()> own_seconds = {});

  struct Report {
    nlohmann::ordered_json json;  ///< governor, turbo, smt, celsius, throttled, steal, others, load_average
    double disturbance = 0;       ///< share of the processors' time that other processes or other guests took
  };
  Report since_begin() const;

 private:
  struct Times {
    double total = 0, idle = 0, steal = 0, own = 0;  ///< seconds over all processors
  };
  Times read_times() const;

  std::function<double()> own_seconds_;
  Times begin_;
  int64_t throttles_ = 0;
};

/// Processor, instruction set, threads, kernel and virtualisation, as the report states them.
nlohmann::ordered_json describe_machine();

/// Most bytes of memory that this process ever held (VmHWM).
int64_t peak_memory_bytes();

}  // namespace wattle::inline study
