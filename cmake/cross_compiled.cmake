# What builds of a part for another processor share: headers and the sources of GoogleTest are those of the machine
# that compiles.

# wattle_headers_of_this_machine(FOLDER...): folders below /usr/include that are the same for every machine.
function(wattle_headers_of_this_machine)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/headers)
  foreach(name ${ARGN})
    if(NOT EXISTS /usr/include/${name})
      message(FATAL_ERROR "/usr/include/${name} is missing; run tools/setup")
    endif()
    get_filename_component(link ${name} NAME)
    file(CREATE_LINK /usr/include/${name} ${CMAKE_BINARY_DIR}/headers/${link} SYMBOLIC)
  endforeach()
  include_directories(SYSTEM ${CMAKE_BINARY_DIR}/headers)
endfunction()

# Leaves of a module only the sources that the expression names, or all but those with EXCLUDE.
function(wattle_only name)
  get_target_property(sources wattle_${name} SOURCES)
  list(FILTER sources ${ARGN})
  set_property(TARGET wattle_${name} PROPERTY SOURCES ${sources})
endfunction()

macro(wattle_googletest_from_source)
  enable_testing()
  add_subdirectory(/usr/src/googletest googletest EXCLUDE_FROM_ALL)
  target_compile_options(gtest PRIVATE -w)
  if(NOT TARGET GTest::gtest)
    add_library(GTest::gtest ALIAS gtest)
  endif()
endmacro()
