# `make` shows what there is. Nothing here needs to be remembered: every target is one or two plain commands.
.DEFAULT_GOAL := help
VENV := .venv/bin

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/installed: pyproject.toml
	python3 -m venv .venv
	$(VENV)/pip install -q -e '.[dev]'
	@touch $@

.PHONY: install
install: .venv/installed ## Make .venv with everything for development

.PHONY: demo
demo: install ## See the whole system at work on a chain of its own
	$(VENV)/autometa demo

.PHONY: test
test: install ## Run the tests
	$(VENV)/python -m pytest -q

.PHONY: soak
soak: install ## Run the long tests, too
	$(VENV)/python -m pytest -q -m "soak or not soak"

.PHONY: lint
lint: install ## Check style and types
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

.PHONY: format
format: install ## Put the code into the common form
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

.PHONY: contracts
contracts: ## Compile contracts/ into abi/ (needs Node 18 or newer)
	cd contracts && npm ci --no-audit --no-fund && node build.mjs

.PHONY: package
package: install ## Build the wheel and the source distribution into dist/
	$(VENV)/python -m build
	$(VENV)/python .ci/check_package.py dist

.PHONY: ci
ci: ## Everything that must hold before a change goes in
	.ci/run

.PHONY: clean
clean: ## Remove what can be made again
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis contracts/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
