# wattle_embed(TARGET file...): puts files into the program, so that it depends on no directory at run time.
# A file data/processors.yaml is read as `std::string_view embedded_processors_yaml()` of the
# target's namespace, which the user declares.
# The bytes come in by the assembler's .incbin: no size limit, no escaping, and the build depends on the file. A
# compiler's cache sees no change of such a file, so these sources are compiled without one.
function(wattle_embed target)
  string(REPLACE "wattle_" "" module ${target})
  if(NOT TARGET ${target}_embedded)
    add_library(${target}_embedded OBJECT)
    set_target_properties(${target}_embedded PROPERTIES CXX_COMPILER_LAUNCHER "")
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_embedded>)
  endif()
  foreach(path ${ARGN})
    get_filename_component(path ${path} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
    get_filename_component(symbol ${path} NAME)
    string(MAKE_C_IDENTIFIER ${symbol} symbol)
    set(generated ${CMAKE_BINARY_DIR}/embedded/${symbol}.cc)
    file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT [=[
#include <string_view>
__asm__(".section .rodata\n"
        ".balign 16\n"
        "wattle_@symbol@_begin: .incbin \"@path@\"\n"
        "wattle_@symbol@_end: .byte 0\n"
        ".global wattle_@symbol@_begin\n"
        ".global wattle_@symbol@_end\n"
        ".text\n");
extern "C" const char wattle_@symbol@_begin[], wattle_@symbol@_end[];
namespace wattle::inline @module@ {
std::string_view embedded_@symbol@() {
  return {wattle_@symbol@_begin, static_cast<size_t>(wattle_@symbol@_end - wattle_@symbol@_begin)};
}
}  // namespace wattle::inline @module@
]=])
    set_source_files_properties(${generated} PROPERTIES OBJECT_DEPENDS ${path})
    target_sources(${target}_embedded PRIVATE ${generated})
  endforeach()
endfunction()
