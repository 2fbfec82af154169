// What the stubs of cmake/lazy_library.py call.
#include <dlfcn.h>

#include <wattle/error.h>

/// The address of a function of a shared library, which is opened where it is not yet. Error when either is
/// not there any more.
extern "C" void* wattle_lazy_symbol(const char* library, const char* name) {
  void* const opened = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) wattle::fail("{}; install the package of {} again", ::dlerror(), library);
  void* const address = ::dlsym(opened, name);
  if (address == nullptr) {
    wattle::fail("{}: has no function {}, which this program was built with; build it again", library, name);
  }
  return address;
}
