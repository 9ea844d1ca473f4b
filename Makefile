# The short way to everything. What a target does stands in scripts/.

.DEFAULT_GOAL := help
.PHONY: help build run test lint fmt bench bench-ledger bench-look bench-aws fuzz cover docs lambda clean

# What `make test` runs on: plain, asan (address and undefined behaviour), tsan (threads), fuzz (the
# fuzzing drivers, a few seconds each).
VARIANTS ?= plain asan tsan fuzz

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 20

build: ## install what is needed (apt, Debian 12 or 13) and build build/gwh
	@scripts/deps.sh build
	@scripts/build.sh build gwh

run: build ## build, then show it at work on this machine
	@scripts/demo.sh

test: ## unit and end-to-end tests, plain and under the sanitizers (VARIANTS=plain for a quick run)
	@scripts/deps.sh test
	@scripts/test.sh $(VARIANTS)

lint: ## floors, formatting, banned calls, lone headers, a clang build, shell scripts
	@scripts/deps.sh test
	@scripts/lint.sh

fmt: ## format the C sources
	@scripts/deps.sh test
	@find src test bench -name '*.[ch]' -not -path '*/node_modules/*' -print0 2>/dev/null \
		| xargs -0 -r .venv/bin/clang-format -i

bench: ## measure
	@scripts/deps.sh test
	@scripts/build.sh build
	@bench/run.sh

bench-ledger: ## what an event costs the ledger, and whether it grows (LIVES=10000000 for more)
	@scripts/deps.sh test
	@bench/ledger.sh $(LIVES)

bench-look: ## how long support waits for an answer behind 5 million deliveries (DELIVERIES=1000000 for fewer)
	@scripts/deps.sh test
	@bench/look.sh $(DELIVERIES)

bench-aws: ## what a worker on AWS does, and what an event costs there (EVENTS=100000 for more)
	@scripts/deps.sh test
	@bench/aws.sh $(if $(EVENTS),--events $(EVENTS))

cover: ## which lines of src/ the tests run
	@scripts/deps.sh test
	@scripts/test.sh cover
	@.venv/bin/gcovr --root . --filter src/ --gcov-ignore-parse-errors=negative_hits.warn \
		--print-summary build-cover

fuzz: ## fuzz the parsers and the API, each for FUZZ_SECONDS (60)
	@scripts/deps.sh test
	@scripts/fuzz.sh

docs: build ## write the pages of docs/ that come from the program's own tables
	@build/gwh reference man >docs/gwh.1
	@build/gwh reference settings >docs/settings.md
	@build/gwh reference metrics >docs/metrics.md
	@build/gwh reference sql-postgresql >deploy/sql/postgresql.sql
	@build/gwh reference sql-redshift >deploy/sql/redshift.sql

lambda: ## the zip for AWS Lambda, for this machine's processor; deploy/aws/ deploys it
	@scripts/deps.sh build
	@scripts/lambda.sh

clean: ## remove what was built
	rm -rf build build-*
