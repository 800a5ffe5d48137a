"""Every case by its name, and the ratios that are formed of them."""
import argparse
from pathlib import Path
from typing import Dict

import torch

from ..networks import HEATMAP_2D, INTERNET, Network
from ..timing import Case
from .hardware import plain_convolution, plain_matmul
from .indexing import index
from .inference import eager, exported
from .reading import PIPELINES, pipeline
from .rendering import render
from .scoring import metric
from .training import PARTS, branch_convolution, training_part, training_step

# by how many times the second case of each is faster than the first
RATIOS = {
    'exported_vs_official': ('infer/official', 'infer/exported'),
    'exported_fp32_vs_official': ('infer/official', 'infer/exported_fp32'),
    'lite_vs_official': ('infer/official', 'infer/lite'),
    'exported_vs_official_batch16': ('infer16/official', 'infer16/exported'),
    'lite_vs_official_batch16': ('infer16/official', 'infer16/lite'),
    'train_step_bf16_vs_fp32': ('step/freihand_fp32', 'step/freihand'),
    'official_train_step_bf16_vs_fp32':
    ('step/official_fp32', 'step/official'),
    'studiohand_train_step_bf16_vs_fp32':
    ('step/studiohand_fp32', 'step/studiohand'),
    'index_vs_coco': ('index/coco', 'index/ours'),
}
# how many times as much G=3 costs as its holistic twin
for _mode in ('step', 'infer'):
    RATIOS[f'g3_vs_g1_{_mode}'] = (f'{_mode}/freihand', f'{_mode}/freihand_g1')
    for _config in ('official', 'studiohand'):
        RATIOS[f'g3_vs_g1_{_mode}_{_config}'] = (f'{_mode}/{_config}',
                                                 f'{_mode}/{_config}_g1')

# ms per sample of the reader in the authors' release, which cannot be run
# here: measured once, on another occasion, as the names of the ratios say
RELEASE_READER = {}
for _name, (_, _split) in PIPELINES.items():
    _ms = 6.2 if _split == 'val' else 9.2
    RELEASE_READER[f'pipeline_{_name}_vs_{_ms}ms_of_release_elsewhere'] = (
        f'pipeline/{_name}', _ms)
    RATIOS[f'pipeline_{_name}_vs_mmpose'] = (f'pipeline/mmpose_{_name}',
                                             f'pipeline/{_name}')


def all_cases(root: Path, args: argparse.Namespace) -> Dict[str, Case]:
    """Every case by name; those with the same prefix run by turns."""
    size, threads = args.input_size, args.threads
    networks = {
        'official': Network('lgh_rhd_official', size=size),
        'freihand': Network('lgh_freihand', size=size),
        'studiohand': Network('lgh_studiohand', size=size),
    }
    twins = {
        name + '_g1': network._replace(groups=1)
        for name, network in networks.items()
    }
    lite = Network('lgh_lite_freihand', size=size)
    exports = {
        'exported': (networks['official'], 'openvino', 'auto'),
        'exported_fp32': (networks['official'], 'onnx', 'fp32'),
        'exported_openvino_fp32': (networks['official'], 'openvino', 'fp32'),
        'lite': (lite, 'openvino', 'auto'),
    }
    others = {'internet': Network(INTERNET), 'heatmap2d': Network(HEATMAP_2D)}
    cases = {}
    for prefix, batch in (('infer', 1), ('infer16', 16)):
        for name, network in {**networks, **twins, **others}.items():
            if batch == 1 or name not in twins:
                cases[f'{prefix}/{name}'] = eager(
                    network._replace(batch=batch))
        for name, (network, backend, precision) in exports.items():
            cases[f'{prefix}/{name}'] = exported(
                network._replace(batch=batch), backend, precision, root,
                threads)
    for name, network in {**networks, **twins}.items():
        batch = 48 if name.startswith('studiohand') else 8
        network = network._replace(batch=args.batch or batch)
        cases[f'step/{name}'] = training_step(network)
        if network.groups is None:
            cases[f'step/{name}_fp32'] = training_step(network, plain=True)
        if not name.startswith('official'):
            for part in PARTS:
                # a single group has nothing to be fused with
                if part != 'fusion' or network.groups is None:
                    cases[f'part/{name}/{part}'] = training_part(network, part)
    for batch, side in ((48, 12), (8, 64)):
        for layout in ('grouped', 'separate', 'dense'):
            cases[f'conv/{batch}x{side}/{layout}'] = branch_convolution(
                layout, batch, side)
    for name in PIPELINES:
        for kind in (name, f'mmpose_{name}'):
            cases[f'pipeline/{kind}'] = pipeline(root, kind)
    for kind in ('ours', 'coco'):
        cases[f'index/{kind}'] = index(kind, root, args.index_samples)
    cases['metric/freihand'] = metric(args.metric_samples)
    for side in (128, 224):
        cases[f'rendering/{side}'] = render(side)
    for name, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        cases[f'limit/conv_{name}'] = plain_convolution(dtype)
        cases[f'limit/matmul_{name}'] = plain_matmul(dtype)
    return cases
