# LocalBus: everything is one command from here. `make help` lists them.
#
# On a fresh Debian or Ubuntu machine with a Swift toolchain two commands do all: `make demo` and `make test`.
# Missing system packages are installed first; root is asked for only when one is missing.

PREFIX  ?= /usr/local
DESTDIR ?=
BINDIR  := $(PREFIX)/bin
# systemd looks below /usr/lib and /usr/local/lib alike, so one rule serves both prefixes.
LIBDIR  := $(PREFIX)/lib

# The Swift runtime is linked statically: a toolchain in somebody's home would be out of reach for a unit with
# ProtectHome=, and `bus` starts in 3 ms. Optimised across modules: generics of the libraries are specialised for us, which
# takes 6 to 18 % of the daemon's time for an event away, for 2 % of size.
RELEASE := -c release --static-swift-stdlib -Xswiftc -cross-module-optimization
BIN     := .build/release
# What a caller wants on top; .ci/run checks imports with it.
BUILD_FLAGS ?=
# Progress is for terminals; elsewhere only what goes wrong is worth a line.
QUIET   := $(if $(MAKE_TERMOUT),,--quiet)

SWIFT_SOURCES  = $(wildcard Package.swift Sources Tests examples Benchmarks Fuzz)
SHELL_SCRIPTS  = .ci/run .ci/deps $(wildcard Tests/scripts/run Tests/scripts/steps.sh Tests/scripts/*.test) \
                 $(wildcard Benchmarks/profile examples/run-all)
SYSTEM_UNITS   = busd.service busd.socket
USER_UNITS     = busd.service busd.socket

say = @printf '  %-8s %s\n'

# Not faults here: topics of the daemon's own begin with a $ in single quotes; `test && act || fail` never has its act fail.
SHELLCHECK_EXCLUDED = SC2016,SC2015,SC2129

# Steps share .build, and SwiftPM uses all cores by itself.
.NOTPARALLEL:
.PHONY: build deps deps-test demo test test-unit test-scripts prove simulate bench lint install uninstall clean help

build: deps  ## build busd and bus, release (the default)
	$(say) build 'busd and bus (release)'
	@swift build $(RELEASE) $(QUIET) $(BUILD_FLAGS) --product busd
	@swift build $(RELEASE) $(QUIET) $(BUILD_FLAGS) --product bus

demo: build  ## show the whole thing in about ten seconds
	@$(BIN)/bus demo

test: test-unit test-scripts  ## unit tests, then the end-to-end tests in Tests/scripts (VERBOSE=1 shows all output)

# --build-tests first, so that a failing build and a failing test are told apart.
test-unit: deps deps-test
	$(say) build 'unit tests (debug)'
	@swift build --build-tests $(QUIET)
	$(say) test 'unit tests'
ifdef VERBOSE
	@swift test --skip-build --disable-xctest
else
	@swift test --skip-build --disable-xctest >.build/test.log 2>&1 \
	    && sed -n 's/^.*\(Test run with .*\)$$/           \1/p' .build/test.log \
	    || { cat .build/test.log; exit 1; }
endif

test-scripts: build deps-test
	$(say) test 'end to end (Tests/scripts)'
	@BIN=$(CURDIR)/$(BIN) Tests/scripts/run

# CI runs the same proofs in their short form, with test-scripts. Root mounts the small file systems of one of them.
prove: build deps-test  ## prove durability at length: KILLS=1000 FAULTS=1000 FLIPS=200, about half an hour
	@.ci/deps ci
	$(say) prove 'kill -9, failing calls, full disks, flipped bits, clocks'
	@BIN=$(CURDIR)/$(BIN) LIMIT=7200 KILLS=$(or $(KILLS),1000) FAULTS=$(or $(FAULTS),1000) FLIPS=$(or $(FLIPS),200) \
	    Tests/scripts/run durable-kill durable-faults durable-full durable-flips durable-clock

# A program of its own, so that broker and simulation are all that is built.
simulate: deps  ## run the simulation, release: SEEDS=1000 of each KIND, or one SEED=N again; STEPS=1500
	$(say) build 'the simulation (release)'
	@swift build $(RELEASE) $(QUIET) --product BusSimulator
	@$(BIN)/BusSimulator KIND=$(KIND) SEEDS=$(SEEDS) SEED=$(SEED) STEPS=$(STEPS)

bench: build  ## measure; rows of redis and nats too where they are installed
	@BIN=$(CURDIR)/$(BIN) Benchmarks/run

lint:  ## format, shell and house rules; seconds, builds nothing
	$(say) lint 'swift format'
	@swift format lint --strict --parallel --recursive $(SWIFT_SOURCES)
	$(say) lint shellcheck
	@if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR -s bash \
	    -e $(SHELLCHECK_EXCLUDED) $(SHELL_SCRIPTS); \
	    else printf '           not installed, skipped\n'; fi
	$(say) lint 'tidy (Tests/scripts/tidy)'
	@Tests/scripts/tidy

install: $(BIN)/busd $(BIN)/bus  ## install what `make` built: PREFIX=/usr/local DESTDIR=
	$(say) install '$(DESTDIR)$(PREFIX)'
	@install -D -m 755 -t $(DESTDIR)$(BINDIR) $(BIN)/busd $(BIN)/bus
	@install -D -m 644 -t $(DESTDIR)$(LIBDIR)/localbus systemd/busd.yaml
	@install -D -m 644 -t $(DESTDIR)$(LIBDIR)/sysusers.d systemd/sysusers.d/localbus.conf
	@install -d $(DESTDIR)$(LIBDIR)/systemd/system $(DESTDIR)$(LIBDIR)/systemd/user
	@for unit in $(addprefix system/,$(SYSTEM_UNITS)) $(addprefix user/,$(USER_UNITS)); do \
	    sed 's|@bindir@|$(BINDIR)|' systemd/$$unit >$(DESTDIR)$(LIBDIR)/systemd/$$unit \
	    && chmod 644 $(DESTDIR)$(LIBDIR)/systemd/$$unit || exit 1; done
ifeq ($(DESTDIR),)
	@printf '           start it: systemd-sysusers && systemctl daemon-reload && systemctl enable --now busd.socket\n'
endif

# No prerequisites: `sudo make install` installs what was built and never compiles as root.
$(BIN)/busd $(BIN)/bus &:
	@$(MAKE) --no-print-directory build

uninstall:  ## remove what install put there; state and configuration stay
	$(say) remove '$(DESTDIR)$(PREFIX)'
	@rm -f $(addprefix $(DESTDIR)$(BINDIR)/,busd bus) \
	    $(addprefix $(DESTDIR)$(LIBDIR)/systemd/system/,$(SYSTEM_UNITS)) \
	    $(addprefix $(DESTDIR)$(LIBDIR)/systemd/user/,$(USER_UNITS)) \
	    $(DESTDIR)$(LIBDIR)/sysusers.d/localbus.conf $(DESTDIR)$(LIBDIR)/localbus/busd.yaml
	@rmdir $(DESTDIR)$(LIBDIR)/localbus 2>/dev/null || true
	@printf '           left alone: /var/lib/localbus and /etc/localbus\n'

deps:
	@.ci/deps build

deps-test:
	@.ci/deps test

clean:  ## remove everything built
	@rm -rf .build $(wildcard examples/.build Benchmarks/.build Fuzz/.build)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
