#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wattle::inline meter {

/// Why a file could not be read; doctor turns it into the command that mends it.
enum class Access { kFine, kMissing, kForbidden, kBroken };

/// The part of an operating system that the meter touches: files, performance events, a clock. The real one
/// stands on a root directory; tests put a simulated one in its place, whose time does not take time.
class Machine {
 public:
  virtual ~Machine() = default;

  /// Content of a small file ("/sys/class/powercap/.../energy_uj"), without the line end.
  virtual std::optional<std::string> read(const std::string& path) = 0;
  /// Names in a directory, sorted; empty when there is none.
  virtual std::vector<std::string> list(const std::string& path) = 0;
  /// Whether `path` can be read, without reading it.
  virtual Access access(const std::string& path) = 0;
  /// Eight bytes of a device file at an offset (/dev/cpu/0/msr).
  virtual std::optional<uint64_t> read_word(const std::string& path, uint64_t offset) = 0;

  /// Opens a counting event on a processor for every process; a handle, or -errno. A simulated tree holds the
  /// count in DIR/dev/perf_event/TYPE/CONFIG/cpuN (all in decimal): a number that grows, of which what is
  /// counted since the opening is shown. Its kernel refuses with EACCES where
  /// proc/sys/kernel/perf_event_paranoid of the tree is above 0, or where nobody may read the file.
  virtual int open_event(uint32_t type, uint64_t config, int cpu) = 0;
  /// The same for a thread, on whichever processor it runs, with the threads that it begins later. In a
  /// simulated tree DIR/dev/perf_event/TYPE/CONFIG/threadN, refused where perf_event_paranoid is above 1.
  virtual int open_thread_event(uint32_t type, uint64_t config, long thread) = 0;
  virtual std::optional<uint64_t> read_event(int handle) = 0;
  virtual void close_event(int handle) = 0;

  /// Candidates for a shared library, best first: its plain name, or paths below the root of a simulated
  /// tree.
  virtual std::vector<std::string> library_paths(const std::string& name) = 0;

  virtual double now() = 0;  ///< seconds of a clock that never goes back
  /// Seconds that the machine has been suspended since its start, in which that clock stood still.
  virtual double suspended_seconds() = 0;
  virtual void sleep(double seconds) = 0;
  virtual bool simulated() const = 0;  ///< processor time of this process says nothing about it

  /// The number in a file; nullopt when the file is missing or holds anything else.
  std::optional<double> read_number(const std::string& path);
};

/// The machine whose /sys, /proc and /dev lie below `root`. In a root other than "/" a file that nobody may
/// read (mode 0000) is forbidden to root too, so that missing permissions can be simulated by anybody. Error
/// when `root` is not a directory.
std::unique_ptr<Machine> open_machine(const std::string& root);

}  // namespace wattle::inline meter
