#!/usr/bin/env python3
"""Writes the assembly of stubs for functions of a shared library: lazy_library.py LIBRARY PATTERN OUTPUT.

Each function of LIBRARY whose (mangled) name matches PATTERN gets a stub of its name, which asks
wattle_lazy_symbol(library, name) of src/base/lazy_library.cc for the address when it is called first, keeps it and
jumps there. All registers that carry arguments are saved meanwhile, and the frame is described, so that an error may
be thrown. x86-64 with the System V calling convention.
"""
import pathlib
import re
import subprocess
import sys

HEAD = """    .text
    .hidden wattle_lazy_symbol
    .type resolve, @function
resolve:  # r10: the name, r11: where its address is kept
    .cfi_startproc
    subq $200, %rsp
    .cfi_adjust_cfa_offset 200
{save}    movq %r11, 56(%rsp)
    leaq library(%rip), %rdi
    movq %r10, %rsi
    call wattle_lazy_symbol
    movq 56(%rsp), %r11
    movq %rax, (%r11)
    movq %rax, %r11
{restore}    addq $200, %rsp
    .cfi_adjust_cfa_offset -200
    jmp *%r11
    .cfi_endproc
    .size resolve, . - resolve
"""
STUB = """    .globl {name}
    .hidden {name}
    .type {name}, @function
{name}:
    movq slot{i}(%rip), %r11
    testq %r11, %r11
    jz 1f
    jmp *%r11
1:  leaq name{i}(%rip), %r10
    leaq slot{i}(%rip), %r11
    jmp resolve
    .size {name}, . - {name}
    .local slot{i}
    .comm slot{i}, 8, 8
"""
REGISTERS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax"]


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    library, pattern, output = sys.argv[1:]
    soname = re.search(r"SONAME.*\[(.*)\]", output_of("readelf", "-d", library)).group(1)
    symbols = (line.split() for line in output_of("nm", "-D", "--defined-only", library).splitlines())
    names = sorted({fields[2].split("@")[0] for fields in symbols if fields[1] == "T" and re.search(pattern, fields[2])})
    if not names:
        sys.exit(f"{library}: has no function that matches {pattern}")
    vectors = [(f"xmm{i}", 64 + 16 * i) for i in range(8)]
    save = "".join(f"    movq %{name}, {8 * i}(%rsp)\n" for i, name in enumerate(REGISTERS))
    save += "".join(f"    movups %{name}, {place}(%rsp)\n" for name, place in vectors)
    restore = "".join(f"    movq {8 * i}(%rsp), %{name}\n" for i, name in enumerate(REGISTERS))
    restore += "".join(f"    movups {place}(%rsp), %{name}\n" for name, place in vectors)
    text = HEAD.format(save=save, restore=restore)
    text += "".join(STUB.format(name=name, i=i) for i, name in enumerate(names))
    text += f'    .section .rodata\nlibrary: .asciz "{soname}"\n'
    text += "".join(f'name{i}: .asciz "{name}"\n' for i, name in enumerate(names))
    text += '    .section .note.GNU-stack, "", @progbits\n'
    pathlib.Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
