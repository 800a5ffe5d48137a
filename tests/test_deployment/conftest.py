import copy
from types import SimpleNamespace

import pytest
from deploy_models import toy_config, toy_model
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from lgh_mmpose.config import set_data_root
from lgh_mmpose.deployment import export, exporting, select_samples, to_deploy


@pytest.fixture(scope='session')
def toy(studiohand_root):
    """A thin network, its deploy form, rendered hands and their data set."""
    init_default_scope('mmpose')
    cfg = toy_config()
    set_data_root(cfg, str(studiohand_root))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = toy_model()
    return SimpleNamespace(
        model=model,
        form=to_deploy(model),
        dataset=dataset,
        samples=select_samples(dataset, 3))


@pytest.fixture
def traced_once(toy, monkeypatch):
    """Tracing the network costs more than all the rest of an export."""
    monkeypatch.setattr(exporting, 'to_deploy',
                        lambda model: copy.deepcopy(toy.form))


@pytest.fixture(scope='session')
def onnx_export(toy, tmp_path_factory):
    """Directory of the thin network for ONNX Runtime; read it only."""
    folder = tmp_path_factory.mktemp('onnx') / 'exported'
    export(toy.model, folder, 'onnx', verification=toy.samples)
    return folder


@pytest.fixture(scope='session')
def openvino_export(toy, tmp_path_factory):
    """Directory of the thin network for OpenVINO; read it only."""
    folder = tmp_path_factory.mktemp('openvino') / 'exported'
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(exporting, 'to_deploy',
                            lambda model: copy.deepcopy(toy.form))
        export(toy.model, folder, 'openvino', 'fp32', verification=toy.samples)
    return folder
