# The front door. `make help` lists what it opens.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

JOBS ?= $(shell nproc)
MODEL ?= gemma3-270m
PROMPT ?= The old lighthouse keeper climbed the stairs one last time, and when he reached the top
FUZZ_SECONDS ?= 60
BENCH ?=

FOVEA := build/release/fovea
NINJA := ninja -j $(JOBS) $(if $(MAKE_TERMOUT),,--quiet)
sources = git ls-files -co --exclude-standard '*.cpp' '*.h'
# Rooms whose tests use threads: they run under ThreadSanitizer too.
TSAN_ROOMS := $(strip $(foreach room,base catalogue engine,$(if $(shell find src/$(room) -name '*_test.cpp'),$(room))))
# ... and so do the engine's exactness, with one vector kernel set (the scalar one is slow there), its reuse, and a server with many clients.
tsan_tests = ^($(shell tr ' ' '|' <<< '$(TSAN_ROOMS)'))[.]|^exactness[.].*avx2|^state_reuse[.]|^reuse[.].*(Waits|NextTurn)|^serve_load[.]
FUZZERS = $(basename $(notdir $(shell find src -name '*_fuzz.cpp')))

export PROMPT
export PATH := $(HOME)/.cargo/bin:$(PATH)

# What ctest says about preset $(1), without the lines about what went well.
ctest = ctest --preset $(1) -j $(JOBS) --no-tests=error $(2) < /dev/null | \
  { grep -vE '^ *Start +[0-9]+:|^ *[0-9]+/[0-9]+ Test .* Passed ' || true; }

.PHONY: help setup setup-clang setup-clients build models run test fuzz soak bench format lint clean

help:  ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 14
	@echo 'Settings: PROMPT="..." MODEL=name|path JOBS=n FUZZ_SECONDS=n BENCH="options of bench/compare"'

setup:  ## install the packages that building needs and this machine lacks
	@tools/setup.sh
setup-clang:
	@tools/setup.sh clang
setup-clients:
	@tools/setup.sh clients

# Ninja itself notices changed CMake files; cmake --preset is for the first time and for changed presets.
build/%/build.ninja: CMakePresets.json | setup
	@mkdir -p build
	@cmake --preset $* > build/$*.log 2>&1 || { cat build/$*.log >&2; exit 1; }
	@touch $@
build/fuzz/build.ninja: | setup-clang

build: build/release/build.ninja  ## the optimized program, build/release/fovea
	@$(NINJA) -C build/release >&2

run: build  ## install the default model if need be and continue PROMPT
	@[ -e "$(MODEL)" ] || $(FOVEA) models install "$(MODEL)" >&2
	@$(FOVEA) run -m "$(MODEL)" -p "$$PROMPT" -n 64 --temp 0.8 --min-p 0.05 --repeat-penalty 1.1

models: build
	@$(FOVEA) models install gemma3-270m >&2
	@$(FOVEA) models install smollm2-135m-instruct >&2

test: models setup-clients build/asan/build.ninja build/tsan/build.ninja  ## all tests, under sanitizers and as users run it
	@$(NINJA) -C build/asan >&2
	@$(NINJA) -C build/tsan $(addprefix test_,$(TSAN_ROOMS)) test_exactness test_reuse test_state_reuse test_serve_load >&2
	@$(call ctest,tsan,-R '$(tsan_tests)')
	@$(call ctest,asan,-LE real_model)
	@$(call ctest,release,)

fuzz: build/fuzz/build.ninja  ## every fuzz target for FUZZ_SECONDS; findings go to build/fuzz-artifacts
	@$(NINJA) -C build/fuzz $(FUZZERS) >&2
	@tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

soak: build/asan/build.ninja  ## the cache's long tests: 1,000,000 random operations, 200 kills during saves
	@$(NINJA) -C build/asan test_kv >&2
	@FOVEA_RANDOM_OPERATIONS=40000 FOVEA_SESSION_KILLS=200 build/asan/src/kv/test_kv --gtest_brief=1 \
	  --gtest_filter='PagedCache.*:ReusingCache.*:Forgetting.*:Session.*'

bench: models  ## speed beside llama.cpp, in turns (bench/README.md)
	@bench/compare --model "$(MODEL)" $(BENCH)

format: setup-clang  ## clang-format over all sources
	@$(sources) | xargs clang-format-19 -i

lint: build setup-clang  ## clang-format and clang-tidy over all sources, changing nothing
	@$(sources) | xargs clang-format-19 --dry-run -Werror
	@$(sources) | grep '\.cpp$$' | grep -v _fuzz | xargs -P $(JOBS) -n 4 clang-tidy-19 --quiet -p build/release

clean:  ## delete everything that was built
	@rm -rf build web/node_modules
