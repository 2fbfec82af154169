#include "cli/meter_samples.h"

#include <fmt/format.h>

#include "cli/meter_output.h"

namespace wattle {

Samples::Samples(MachineMeter& meter) : meter_(meter) {
  meter_.set_listener([this](const Source& source, double time, const std::vector<Reading>& readings) {
    take(source, time, readings);
  });
}

Samples::~Samples() {
  meter_.set_listener({});
}

std::string Samples::csv() const {
  const std::lock_guard lock(mutex_);
  return csv_;
}

void Samples::take(const Source& source, double time, const std::vector<Reading>& readings) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < readings.size(); ++i) {
    const Channel& channel = source.channels()[i];
    const Reading& reading = readings[i];
    csv_ += fmt::format("{:.6f},{},{},{},{}", time, quoted(source.name()), quoted(channel.name),
                        channel.scope, channel.left_out.empty() ? "yes" : "no");
    if (!reading.ok) {
      csv_ +=
          fmt::format(",,,,{}\n", quoted(reading.problem.empty() ? "could not be read" : reading.problem));
    } else if (channel.kind == Channel::Kind::kEnergy) {
      csv_ += fmt::format(",{},{:.12g},,\n", reading.counts, channel.unit);
    } else {
      csv_ += fmt::format(",,,{:.9g},\n", reading.watts);
    }
  }
}

}  // namespace wattle
