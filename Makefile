# make book    build the book from the stored outputs       make lab     open JupyterLab
# make test    run everything that checks the book          make test-site   look at it in a browser
# make record  run a notebook, store its outputs            make links  do all links lead somewhere?
# make bench   measure speed, write the results page        make address after a change of address in _config.yml
# make bench-accuracy   train with several seeds            make bench-gpu   what needs a CUDA GPU
# make bench-d2l   the same work with the library of Dive into Deep Learning

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# make CONSTRAINTS= installs the newest versions instead of those tested
CONSTRAINTS ?= constraints.txt
NPM      := _build/npm
PACKAGES := mathjax@3.2.2 axe-core@4.14.1
export OMP_NUM_THREADS ?= 1
WORKERS ?= 2

.PHONY: book lab test test-site links record script address bench bench-accuracy bench-gpu bench-d2l setup cards site clean

book: setup site
	@echo
	@echo "The book is built. Open it in a browser:  $(CURDIR)/_build/html/index.html"

setup: $(VENV)/.installed

# The stamp is younger than what it was made from: a second run installs nothing.
$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt $(addprefix -c ,$(CONSTRAINTS))
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

cards:
	$(BIN)/python tools/cards.py

site: cards
	$(BIN)/jupyter-book build . -W --keep-going --quiet --all

# Do the links to other places still lead there? Needs the network.
links: setup cards
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links

lab: setup
	OMP_NUM_THREADS= $(BIN)/jupyter lab notebooks

test: setup site
	BOOK_PROGRESS=0 BOOK_STATIC=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope \
	    --nbval --nbval-current-env --nbval-cell-timeout 300 \
	    --nbval-sanitize-with tests/sanitize.cfg --ignore tests/browser tests notebooks

# The built pages and JupyterLab in a real browser; what pages load from a CDN comes from npm.
test-site: setup site $(NPM)/.installed
	BOOK_DATA=sample $(BIN)/python -m pytest -n $(WORKERS) tests/browser

$(NPM)/.installed: Makefile
	npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --silent --prefix $(NPM) $(PACKAGES)
	touch $@

NB ?= notebooks/*.ipynb
record: setup
	OMP_NUM_THREADS=2 $(BIN)/python tools/record.py $(NB)

# A chapter as a program, without the cells that show an error: for torchrun.
script: setup
	$(BIN)/jupyter nbconvert --to script --config tools/export_config.py --output-dir _build/scripts $(NB)

# Write the repository's address from _config.yml into the set-up cell of every notebook.
address: setup
	$(BIN)/python tools/setup_cell.py

bench: setup
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 $(BIN)/python -m benchmarks speed

bench-accuracy: setup
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 $(BIN)/python -m benchmarks accuracy

bench-gpu: setup
	OMP_NUM_THREADS= BOOK_PROGRESS=0 $(BIN)/python -m benchmarks gpu

# The library of Dive into Deep Learning goes into a folder of its own: it pins old versions of all it needs.
bench-d2l: setup
	test -d _build/d2l || $(BIN)/python -m pip install --quiet --no-deps --target _build/d2l d2l==0.17.6
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 PYTHONPATH=_build/d2l $(BIN)/python -m benchmarks.against_d2l
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf _build
