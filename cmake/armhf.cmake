# Cross-compiles for 32-bit ARM with hardware floating point (ARMv7, Debian's armhf) with g++-arm-linux-gnueabihf; tests
# run under qemu-user. Debian's libraries are those that tools/armhf_libraries brings into the build folder.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_FIND_ROOT_PATH ${CMAKE_BINARY_DIR}/libraries/root /usr/arm-linux-gnueabihf)
set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
find_program(QEMU_ARM NAMES qemu-arm qemu-arm-static)
if(QEMU_ARM)
  set(debian ${CMAKE_BINARY_DIR}/libraries/root/usr/lib/arm-linux-gnueabihf)
  set(CMAKE_CROSSCOMPILING_EMULATOR
    "${QEMU_ARM};-L;/usr/arm-linux-gnueabihf;-E;LD_LIBRARY_PATH=${debian}:${debian}/blas")
endif()
# Files of more than 2 GB are met by their size.
add_compile_definitions(_FILE_OFFSET_BITS=64)
