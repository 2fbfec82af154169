# The front door. `make demo` answers a question from nothing; `make test` proves the parts.
.PHONY: help setup demo test build check sanitize format clean
.DEFAULT_GOAL := help

help:  ## these targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:
	@tools/setup

build/build.ninja: | setup
	@cmake --preset release >/dev/null

build: setup build/build.ninja  ## set up and build build/wattle
	@cmake --build build

test: build  ## set up, build, then every test
	@tools/test

demo: setup build/build.ninja  ## from nothing to a report that says which model to use
	@cmake --build build --target wattle
	@build/wattle pull all-minilm-l6-v2 smollm2-135m-instruct airline-messages
	@build/wattle study examples/plans/demo.yaml --out out/demo

sanitize: setup  ## every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/test --sanitize

check:  ## direction of the includes, format of the sources
	@python3 tools/check_modules.py
	@git ls-files 'include/*.h' 'src/*.h' 'src/*.cc' 'tests/*.cc' 'tests/*.h' | xargs clang-format --dry-run --Werror

format:  ## format the sources
	@git ls-files 'include/*.h' 'src/*.h' 'src/*.cc' 'tests/*.cc' 'tests/*.h' | xargs clang-format -i

clean:  ## remove what was built
	@rm -rf build build-dev build-sanitize
