#include "meter/processor.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

namespace wattle::inline meter {

namespace {

std::vector<std::string> vector_features_in(const std::string& flags) {
  static const std::set<std::string> kKnown = {
      "avx2",        "fma",         "f16c",        "avx_vnni", "avx_vnni_int8", "avx512f",  "avx512bw",
      "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16",      "amx_fp16", "asimd",
      "asimdhp",     "asimddp",     "i8mm",        "bf16",     "sve",           "sve2"};
  std::vector<std::string> found;
  std::istringstream words(flags);
  for (std::string word; words >> word;) {
    if (kKnown.count(word) > 0) found.push_back(word);
  }
  return found;
}

}  // namespace

ProcessorId describe_processor(Machine& machine) {
  ProcessorId id;
  std::istringstream lines(machine.read("/proc/cpuinfo").value_or(""));
  int threads = 0, cores_a_socket = 0;
  double megahertz = 0;
  std::set<std::string> sockets;
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (key == "processor") ++threads;
    if (key == "vendor_id") id.vendor = value;
    if (key == "model name") id.name = value;
    if (key == "cpu family") id.family = std::atoi(value.c_str());
    if (key == "model") id.model = std::atoi(value.c_str());
    if (key == "stepping") id.stepping = std::atoi(value.c_str());
    if (key == "cpu cores") cores_a_socket = std::atoi(value.c_str());
    if (key == "cpu MHz") megahertz += std::atof(value.c_str());
    if (key == "physical id") sockets.insert(value);
    if (key == "flags") id.virtual_machine = value.find(" hypervisor") != std::string::npos;
    if (key == "flags" || key == "Features") id.vector_features = vector_features_in(value);
    if (key == "CPU implementer" && std::strtol(value.c_str(), nullptr, 16) == 0x41) id.vendor = "ARM";
    if (key == "CPU part") id.model = static_cast<int>(std::strtol(value.c_str(), nullptr, 16));
  }
  id.threads = std::max(1, threads);
  id.sockets = std::max<int>(1, static_cast<int>(sockets.size()));
  id.cores = cores_a_socket * id.sockets;
  id.megahertz = megahertz / id.threads;
  if (id.vendor == "GenuineIntel" && id.family == 6) {
    // Lakefield and Lunar Lake.
    id.memory_on_package = id.model == 138 || id.model == 189;
    static const std::set<int> kServers = {63, 79, 85, 86, 87, 106, 108, 143, 173, 174, 175, 207};
    id.server = kServers.count(id.model) > 0;
  }
  return id;
}

}  // namespace wattle::inline meter
