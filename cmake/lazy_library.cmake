# wattle_lazily(TARGET LIBRARY PATTERN): a target that gives the functions of a shared library whose mangled names
# match, and opens the library when the first of them is called. For libraries that most runs never use: linked to the
# program, those for the network and for archives cost each answer of the smallest model 4 MB. Where there are no stubs
# for a processor, the target links the library.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_SYSTEM_NAME STREQUAL Linux)
  enable_language(ASM)
  set(WATTLE_LAZY ON)
endif()

function(wattle_lazily target library pattern)
  if(NOT WATTLE_LAZY)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${library})
    return()
  endif()
  set(stubs ${CMAKE_BINARY_DIR}/lazy/${target}.S)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lazy)
  add_custom_command(OUTPUT ${stubs}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/lazy_library.py ${library} ${pattern} ${stubs}
    DEPENDS ${CMAKE_SOURCE_DIR}/cmake/lazy_library.py ${library} VERBATIM)
  add_library(${target} STATIC ${stubs})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(${target} INTERFACE wattle_base)
endfunction()
