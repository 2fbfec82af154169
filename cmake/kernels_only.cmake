# The modules from base to layers and the tests of kernels and layers, without a library for the target.
find_package(Threads REQUIRED)
include(cmake/cross_compiled.cmake)
wattle_headers_of_this_machine(fmt nlohmann)
add_compile_definitions(FMT_HEADER_ONLY)

wattle_module(base LIBS Threads::Threads)
wattle_only(base EXCLUDE REGEX "/sha256\\.cc$")  # OpenSSL's
wattle_module(quant USES base)
wattle_module(file USES quant)
wattle_module(tensor USES file)
wattle_module(kernels USES tensor)
wattle_module(layers USES kernels)

if(WATTLE_TESTS)
  wattle_googletest_from_source()
  wattle_tests(kernels layers)
endif()
