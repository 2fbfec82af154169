// Graphics processors through their vendors' libraries, opened at run time: NVML (NVIDIA Management Library
// API reference) and AMD SMI. Their headers are not needed: the few functions are declared here by their
// documented types.
#include <dlfcn.h>

#include <fmt/format.h>

#include "meter/source.h"

namespace wattle::inline meter {
namespace {

// Yang, Adamek, Armour 2024, "Part-time power measurements" (SC24): within 5 % after calibration on most
// boards.
constexpr double kGpuAccuracy = 0.05;

class Library {
 public:
  Library(Machine& machine, const std::string& name) {
    for (const std::string& path : machine.library_paths(name)) {
      handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_ != nullptr) return;
    }
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  explicit operator bool() const { return handle_ != nullptr; }
  template <typename Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(::dlsym(handle_, name));
  }

 private:
  void* handle_ = nullptr;
};

using NvmlDevice = void*;

class NvmlSource : public Source {
 public:
  explicit NvmlSource(std::unique_ptr<Library> library) : library_(std::move(library)) {
    energy_ = library_->function<int(NvmlDevice, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
    power_ = library_->function<int(NvmlDevice, unsigned*)>("nvmlDeviceGetPowerUsage");
  }
  ~NvmlSource() override {
    if (auto* shutdown = library_->function<int()>("nvmlShutdown")) shutdown();
  }
  std::string name() const override { return "nvml"; }
  std::vector<Reading> read() override {
    std::vector<Reading> readings;
    for (size_t i = 0; i < devices_.size(); ++i) {
      Reading reading;
      if (channels_[i].kind == Channel::Kind::kEnergy) {
        unsigned long long millijoules = 0;
        reading.ok = energy_(devices_[i], &millijoules) == 0;
        reading.counts = millijoules;
      } else {
        unsigned milliwatts = 0;
        reading.ok = power_(devices_[i], &milliwatts) == 0;
        reading.watts = milliwatts * 1e-3;
      }
      readings.push_back(reading);
    }
    return readings;
  }
  /// Boards from Volta on count energy; older ones show power alone.
  void add(NvmlDevice device, unsigned index) {
    Channel channel;
    channel.name = fmt::format("gpu-{}", index);
    channel.scope = "gpu";
    channel.unit = 1e-3;
    channel.accuracy = kGpuAccuracy;
    channel.max_watts = 2500;
    unsigned long long millijoules = 0;
    unsigned milliwatts = 0;
    if (energy_ == nullptr || energy_(device, &millijoules) != 0) {
      if (power_ == nullptr || power_(device, &milliwatts) != 0) return;
      channel.kind = Channel::Kind::kPower;
    }
    channels_.push_back(channel);
    devices_.push_back(device);
  }

 private:
  std::unique_ptr<Library> library_;
  int (*energy_)(NvmlDevice, unsigned long long*) = nullptr;
  int (*power_)(NvmlDevice, unsigned*) = nullptr;
  std::vector<NvmlDevice> devices_;
};

class AmdSmiSource : public Source {
 public:
  using EnergyCount = int(void*, uint64_t*, float*, uint64_t*);
  explicit AmdSmiSource(std::unique_ptr<Library> library) : library_(std::move(library)) {
    energy_ = library_->function<EnergyCount>("amdsmi_get_energy_count");
  }
  ~AmdSmiSource() override {
    if (auto* shutdown = library_->function<int()>("amdsmi_shut_down")) shutdown();
  }
  std::string name() const override { return "amdsmi"; }
  std::vector<Reading> read() override {
    std::vector<Reading> readings;
    for (void* device : devices_) {
      Reading reading;
      float microjoules = 0;
      uint64_t stamp = 0;
      reading.ok = energy_(device, &reading.counts, &microjoules, &stamp) == 0;
      readings.push_back(reading);
    }
    return readings;
  }
  void add(void* device) {
    uint64_t counts = 0, stamp = 0;
    float microjoules = 0;
    if (energy_ == nullptr || energy_(device, &counts, &microjoules, &stamp) != 0 || !(microjoules > 0))
      return;
    Channel channel;
    channel.name = fmt::format("gpu-{}", devices_.size());
    channel.scope = "gpu";
    channel.unit = 1e-6 * microjoules;
    channel.accuracy = kGpuAccuracy;
    channel.max_watts = 2500;
    channel.place = place_of(device);
    channels_.push_back(channel);
    devices_.push_back(device);
  }

 private:
  /// The PCI address, which hwmon tells too; amdsmi_bdf_t packs function, device, bus and domain.
  std::string place_of(void* device) const {
    uint64_t bits = 0;
    auto* address = library_->function<int(void*, uint64_t*)>("amdsmi_get_gpu_device_bdf");
    if (address == nullptr || address(device, &bits) != 0) return "";
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", bits >> 16, bits >> 8 & 0xff, bits >> 3 & 0x1f, bits & 7);
  }

  std::unique_ptr<Library> library_;
  EnergyCount* energy_ = nullptr;
  std::vector<void*> devices_;
};

/// What is said of boards that are there and cannot be added.
std::string lacking(size_t boards, size_t shown) {
  if (boards == shown) return "";
  return fmt::format("{} of {} graphics processors tell neither energy nor power and are not in the figures",
                     boards - shown, boards);
}

}  // namespace

Probe open_nvml(Machine& machine) {
  auto library = std::make_unique<Library>(machine, "libnvidia-ml.so.1");
  if (!*library) return {nullptr, "libnvidia-ml.so.1 (NVIDIA's driver) is not installed", ""};
  auto* init = library->function<int()>("nvmlInit_v2");
  auto* count = library->function<int(unsigned*)>("nvmlDeviceGetCount_v2");
  auto* device_at = library->function<int(unsigned, NvmlDevice*)>("nvmlDeviceGetHandleByIndex_v2");
  if (init == nullptr || count == nullptr || device_at == nullptr || init() != 0) {
    return {nullptr, "NVML does not start; the driver is not loaded", "sudo modprobe nvidia"};
  }
  auto source = std::make_unique<NvmlSource>(std::move(library));
  unsigned boards = 0;
  if (count(&boards) != 0) boards = 0;
  for (unsigned i = 0; i < boards; ++i) {
    NvmlDevice device = nullptr;
    if (device_at(i, &device) == 0) source->add(device, i);
  }
  if (source->channels().empty()) return {nullptr, "NVML shows no board that tells its energy or power", ""};
  const std::string remark = lacking(boards, source->channels().size());
  return {std::move(source), "", "", remark};
}

Probe open_amdsmi(Machine& machine) {
  auto library = std::make_unique<Library>(machine, "libamd_smi.so");
  if (!*library) return {nullptr, "libamd_smi.so (AMD SMI) is not installed", ""};
  constexpr uint64_t kGpus = 1 << 1;
  auto* init = library->function<int(uint64_t)>("amdsmi_init");
  auto* sockets_of = library->function<int(uint32_t*, void**)>("amdsmi_get_socket_handles");
  auto* processors_of = library->function<int(void*, uint32_t*, void**)>("amdsmi_get_processor_handles");
  if (init == nullptr || sockets_of == nullptr || processors_of == nullptr || init(kGpus) != 0) {
    return {nullptr, "AMD SMI does not start; the driver is not loaded", "sudo modprobe amdgpu"};
  }
  auto source = std::make_unique<AmdSmiSource>(std::move(library));
  uint32_t n_sockets = 0;
  if (sockets_of(&n_sockets, nullptr) != 0 || n_sockets > 1024) n_sockets = 0;
  size_t n_all = 0;
  std::vector<void*> sockets(n_sockets);
  if (n_sockets > 0) sockets_of(&n_sockets, sockets.data());
  for (void* socket : sockets) {
    uint32_t n_devices = 0;
    if (processors_of(socket, &n_devices, nullptr) != 0 || n_devices > 1024) continue;
    std::vector<void*> devices(n_devices);
    if (n_devices > 0) processors_of(socket, &n_devices, devices.data());
    for (void* device : devices) source->add(device);
    n_all += devices.size();
  }
  if (source->channels().empty()) return {nullptr, "AMD SMI shows no device that counts its energy", ""};
  const std::string remark = lacking(n_all, source->channels().size());
  return {std::move(source), "", "", remark};
}

}  // namespace wattle::inline meter
