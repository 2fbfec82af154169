#pragma once

#include <string>
#include <vector>

#include "meter/machine.h"

namespace wattle::inline meter {

/// What /proc/cpuinfo says of a machine's processor.
struct ProcessorId {
  std::string vendor;  ///< "GenuineIntel", "AuthenticAMD"; empty where cpuinfo does not say
  std::string name;    ///< "AMD EPYC 7763 64-Core Processor"
  int family = 0, model = 0, stepping = 0;
  std::vector<std::string>
      vector_features;  ///< of those that arithmetic here could use: "avx512_bf16", "asimddp"
  int threads = 1;      ///< hardware threads (vCPUs in a virtual machine) online
  int sockets = 1;
  int cores = 0;         ///< physical cores of all sockets; 0: not shown
  double megahertz = 0;  ///< mean of what cpuinfo shows now; 0: not shown
  bool virtual_machine = false;
  bool memory_on_package = false;  ///< memory soldered onto the package: the package counter holds it
  bool server = false;             ///< Intel Xeon Scalable or E5 line
};
ProcessorId describe_processor(Machine& machine);

}  // namespace wattle::inline meter
