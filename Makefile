# What a person types: make run, make test, make check; and for releases make lock, make wheels.

PY := .venv/bin/python

.PHONY: run test check stack crash bench lock wheels clean

run: .venv/.runtime
	exec .venv/bin/jaga run --config agent.toml

# At most 20 minutes: pytest's own limits (pyproject.toml) are 120 s a test and 18 minutes in all.
test: check
	tests/get-debian-packages
	$(PY) -m pytest

# A cooperative's server to watch and to break: nginx, php8.2-fpm, MariaDB, Redis, Supervisor and a Laravel app, until Ctrl-C.
stack: .venv/.development
	tests/get-debian-packages
	exec env PYTHONPATH=.:tests $(PY) -m stack.whole

# A thousand incidents, each killed at one to three named steps; about 20 minutes.
crash: .venv/.development
	PYTHONPATH=.:tests $(PY) tests/crash_campaign.py --runs 1000

check: .venv/.development
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

# About twelve minutes. Wants the Debian packages dbus-daemon and prometheus-node-exporter; writes docs/footprint.md.
bench: .venv/.development
	$(PY) benchmarks/footprint.py

# About five minutes. Wants the Debian package mtail and 1.1 GiB for temporary files; writes docs/log-speed.md.
bench-log: .venv/.development
	$(PY) benchmarks/log_speed.py

# `make lock UPGRADE=--upgrade` takes newer versions; without it only what pyproject.toml asks for changes.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(UPGRADE)
lock: .venv/.development
	$(COMPILE) --output-file=requirements.lock pyproject.toml
	$(COMPILE) --extra=dev --constraint=requirements.lock --output-file=requirements-dev.lock pyproject.toml

# For machines without network: copy the tree there, dist/wheels with it, and run JAGA_WHEELS=dist/wheels deploy/install.
wheels: .venv/.runtime
	rm -rf dist/wheels
	$(PY) -m pip download -qq --disable-pip-version-check --only-binary :all: --require-hashes -d dist/wheels -r requirements.lock

clean:
	rm -rf .venv build dist *.egg-info

# Stamps: what was installed from what. The development lock holds the runtime's versions, so the two share one environment.
.venv/.runtime: requirements.lock pyproject.toml
	deploy/venv .venv requirements.lock
	$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.development: requirements-dev.lock .venv/.runtime
	deploy/venv .venv requirements-dev.lock
	touch $@
