"""Tables of the documents against what they describe."""
import importlib
import re

import pytest
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.registry import Registry
from mmpose.registry import MODELS

import lgh_mmpose
from lgh_mmpose.evaluation.functional import PROTOCOLS

CONFIGS = sorted(path.name for path in REPO_ROOT.glob('configs/lgh_*.py'))


def rows(document, heading):
    """Rows of the table whose first line starts with a heading."""
    text = (REPO_ROOT / document).read_text()
    table = text[text.index(f'\n| {heading} |'):].strip().split('\n\n')[0]
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in table.split('\n')[2:]]


MODEL_ROWS = {
    row[0].strip('`'): row
    for row in rows('configs/README.md', 'config')
}


def test_model_table_has_each_config():
    assert sorted(MODEL_ROWS) == CONFIGS


@pytest.mark.parametrize('name', CONFIGS)
def test_model_table_is_right(name):
    cfg = Config.fromfile(REPO_ROOT / 'configs' / name)
    _, _, size, groups, parameters, _ = MODEL_ROWS[name]
    assert size == '{}×{}'.format(*cfg.model.head.decoder.input_size)
    assert int(groups.split(',')[0]) == cfg.model.head.num_groups
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    count = sum(p.numel() for p in model.parameters())
    assert parameters == f'{count / 1e6:.1f}'


def test_shapes_of_the_method_are_those_of_the_network():
    text = (REPO_ROOT / 'docs/method.md').read_text()
    named = {
        name: shape
        for shape, name in re.findall(r'\| ([\d ×]+\d) \| `(\w+\.\w+)` \|',
                                      text)
    }
    model = MODELS.build(
        Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py').model).eval()
    neck, head = model.neck, model.head
    modules = {
        'GroupFusionNeck.shared': neck.shared,
        'GroupFusionNeck.branches': neck.branches,
        'GroupFusionNeck.fusion': neck.fusion,
        'GroupedJointHead.heatmap_layers': head.heatmap_layers,
        'GroupedJointHead.depth_layers': head.depth_layers,
    }
    assert set(named) == {*modules, 'ConcreteSelector.probabilities'}
    shapes = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _, __, output, name=name: shapes.
                                     update({name: tuple(output.shape[1:])}))
    with torch.no_grad():
        feats = model.backbone(torch.zeros(1, 3, 256, 256))
        head(neck(feats))
    shapes['ConcreteSelector.probabilities'] = tuple(
        head.selector.probabilities.shape)
    for name, shape in shapes.items():
        assert named[name] == ' × '.join(map(str, shape)), name
    for word, feat in (('finest', feats[0]), ('coarsest', feats[-1])):
        shape = ' × '.join(map(str, feat.shape[1:]))
        assert f'backbone, {word} output | {shape} |' in text


def test_protocols_are_those_of_the_metric():
    table = {
        row[0].strip('`'): row
        for row in rows('docs/metrics.md', 'protocol')
    }
    assert set(table) == set(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        _, alignment, root, joints, thresholds, areas = table[name]
        assert alignment.split(', ') == list(protocol.alignments)
        if 'root' in protocol.alignments:
            assert root == f'`{protocol.root_joint}`'
        first, last, number = protocol.thresholds
        assert thresholds == f'{number} from {first:.0f} to {last:.0f} mm'
        assert sorted(re.findall(r'[\w-]+',
                                 areas)) == sorted(protocol.auc_starts)
        assert joints == (
            'finger tips' if protocol.joints else
            'annotated ones' if protocol.use_visibility else 'all 21')


def registered(package):
    """By name, what a package of OpenMMLab has in its registries."""
    registry = importlib.import_module(f'{package}.registry')
    return {
        name: cls
        for kind in vars(registry).values() if isinstance(kind, Registry)
        for name, cls in kind.module_dict.items()
    }


def ours(package):
    return {
        name
        for name, cls in registered(package).items()
        if cls.__module__.startswith(f'{lgh_mmpose.__name__}.')
    }


def test_components_are_registered():
    """The names in projects_readme.md's table of registries."""
    named = {
        name
        for _, cell in rows('projects_readme.md', 'kind')
        for name in re.findall(r'`(\w+)`', cell)
    }
    assert named <= set(registered('mmpose'))
    # and each class of ours that a config can name is there
    assert ours('mmpose') <= named


def test_components_of_the_detector_are_named():
    importlib.import_module('lgh_mmpose.detection')
    text = (REPO_ROOT / 'projects_readme.md').read_text()
    _, _, sentence = text.partition("imports=['lgh_mmpose.detection'])`")
    sentence, _, _ = sentence.partition('.\n')
    assert set(re.findall(r'`(\w+)`', sentence)) == ours('mmdet')
