# Forwards to meson and ninja; everything is described in meson.build and in tools/.
#
#   make           build/plasmite, build/pls, build/libplasmite.so, build/libplasmite.a
#   make demo      the main job, for real, in a few seconds
#   make test      every test suite           make tidy    the checks of the sources
#   make bench     the table of speeds        make fuzz    fuzzing, a while for each target
#   make proof     that nothing is lost: the long forms, hours
#   make coverage  which lines and branches the tests run
#   make mutants   what the tests see of small changes to the code, an hour
#   make asan      build-asan/: with AddressSanitizer and UBSan
#   make tsan      build-tsan/: with ThreadSanitizer
#   make install [PREFIX=/usr/local] [DESTDIR=]
#
# demo, test, bench, fuzz, proof, coverage, mutants, tidy: first install what they lack, and say so.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD = build

.PHONY: all demo test bench fuzz proof coverage mutants tidy asan tsan install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) products

$(BUILD)/build.ninja:
	@tools/setup build
	meson setup $(BUILD)

demo:
	@tools/setup build
	@$(MAKE) --no-print-directory all
	@tools/demo

test:
	@tools/setup test
	@tools/test

bench:
	@tools/setup bench
	@tools/bench

fuzz:
	@tools/setup fuzz
	@tools/fuzz

proof:
	@tools/setup test
	@tools/setup fuzz
	@tools/test --build-only release
	@tools/proof

coverage:
	@tools/setup test
	@tools/coverage

mutants:
	@tools/setup test
	@tools/mutants
	@tools/mutants --fences

tidy:
	@tools/setup tidy
	@tools/tidy

asan tsan:
	@tools/test --build-only $@

# The prefix is asked for anew each time: a build folder serves any number of installations.
install: all
	@meson configure $(BUILD) -Dprefix='$(abspath $(PREFIX))'
	@ninja -C $(BUILD) products
	DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet

clean:
	rm -rf build build-asan build-tsan build-fuzz build-tidy build-coverage build-mutants
