// A library with NVML's functions, for tests: two boards whose figures the test sets.
#include "fake_nvml.h"

extern "C" {

FakeBoards* fake_nvml_boards() {
  static FakeBoards boards;
  return &boards;
}

int nvmlInit_v2() {
  return fake_nvml_boards()->start;
}
int nvmlShutdown() {
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(fake_nvml_boards()->boards);
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  const FakeBoards& boards = *fake_nvml_boards();
  if (static_cast<int>(index) >= boards.boards - boards.silent_boards) return 999;
  *device = reinterpret_cast<void*>(static_cast<unsigned long>(index + 1));
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  constexpr int kNotSupported = 3;
  if (!fake_nvml_boards()->counts_energy) return kNotSupported;
  *millijoules = static_cast<unsigned long long>(1000 * fake_nvml_boards()->joules());
  return fake_nvml_boards()->failure;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = static_cast<unsigned>(1000 * fake_nvml_boards()->watts());
  return fake_nvml_boards()->failure;
}
}
