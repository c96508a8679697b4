# make book    build the book from the stored outputs       make lab     open JupyterLab
# make test    run everything that checks the book          make record  run a notebook, store its outputs
# make bench   measure, write the results page              make address after a change of address in _config.yml
# make bench-d2l   the same work with the library of Dive into Deep Learning

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
WORKERS ?= 2

.PHONY: book lab test record script address bench bench-d2l setup site clean

book: setup site
	@echo
	@echo "The book is built. Open it in a browser:  $(CURDIR)/_build/html/index.html"

setup: $(VENV)/.installed

# The stamp is younger than what it was made from: a second run installs nothing.
$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

site:
	$(BIN)/jupyter-book build . -W --keep-going --quiet --all

lab: setup
	OMP_NUM_THREADS= $(BIN)/jupyter lab notebooks

test: setup site
	BOOK_PROGRESS=0 BOOK_STATIC=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope \
	    --nbval --nbval-current-env --nbval-cell-timeout 300 \
	    --nbval-sanitize-with tests/sanitize.cfg tests notebooks

NB ?= notebooks/*.ipynb
record: setup
	OMP_NUM_THREADS=2 $(BIN)/python tools/record.py $(NB)

# A chapter as a program, without the cells that show an error: for torchrun.
script: setup
	$(BIN)/jupyter nbconvert --to script --output-dir _build/scripts --TagRemovePreprocessor.enabled=True \
	    --TagRemovePreprocessor.remove_cell_tags=raises-exception $(NB)

# Write the repository's address from _config.yml into the set-up cell of every notebook.
address: setup
	$(BIN)/python tools/setup_cell.py

bench: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks

# The library of Dive into Deep Learning goes into a folder of its own: it pins old versions of all it needs.
bench-d2l: setup
	test -d _build/d2l || $(BIN)/python -m pip install --quiet --no-deps --target _build/d2l d2l==0.17.6
	OMP_NUM_THREADS=2 BOOK_PROGRESS=0 PYTHONPATH=_build/d2l $(BIN)/python -m benchmarks.against_d2l
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf _build
