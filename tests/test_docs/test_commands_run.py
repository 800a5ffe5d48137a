"""Every command that a document shows runs, in a toy size.

Each command of the fenced ``bash`` blocks is run as it stands there, in this
process, in a folder that has what the documents speak of: the data sets, a
photo, a video, checkpoints, work dirs of finished trainings, and the project's
configs under their own names, with small networks and one short epoch. Of the
command itself only the numbers in ``TOY_OPTIONS`` are changed.

What does not run so is in ``ELSEWHERE``, with the tests that run it, or in
``NOWHERE``, with the reason. The tests must name the program and its options,
and what no document shows any more must leave the lists.
"""
import csv
import json
import os
import re
import shutil
import zipfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dataset_writers import (FREIHAND_NAMES, write_dexter_object,
                             write_hand3d_json, write_photos, write_stb)
from helpers import REPO_ROOT, run_script, write_freihand
from mmengine.config import Config
from mmengine.registry import init_default_scope
from official_network import build_model, official_checkpoint
from test_command_lines import DOCUMENTS, commands_of
from test_extending import FILES as PAGE_FILES
from work_dir_writer import write_predictions, write_work_dir

from lgh_mmpose.rendering import write_studiohand

# how much is done, not what; what is the same then is run once
TOY_OPTIONS = {
    '--num-train': '4',
    '--num-eval': '2',
    '--size': '48',
    '--workers': '1',
    '--shards': '2',
}

# command, or its beginning -> tests that run it with the same options
ELSEWHERE = {
    'make demo': ['test_tools/test_demo.py'],
    'make bench': ['test_benchmarks/test_run.py'],
    'make ablation': ['test_tools/test_ablation.py'],
    'mim train': [
        'test_tools/test_commands.py::test_mim_train_finds_config_and_script_'
        'by_name'
    ],
    'mim test': [
        'test_tools/test_commands.py::test_mim_test_gives_the_scores_of_the_'
        'training'
    ],
    'python tools/train.py configs/lgh_freihand.py --resume':
    ['test_tools/test_commands.py::test_resume_goes_on_after_the_last_epoch'],
    # a compiler takes a minute; how the option gets to the hook, and the hook
    'python tools/train.py configs/lgh_freihand.py --compile': [
        'test_tools/test_run_options.py::test_compile_adds_its_hook',
        'test_engine/test_compile_hook.py::test_backbone_and_neck_are_'
        'compiled'
    ],
    'python tools/test.py configs/lgh_freihand.py CHECKPOINT --compile': [
        'test_tools/test_run_options.py::test_compile_adds_its_hook',
        'test_engine/test_compile_hook.py::test_backbone_and_neck_are_'
        'compiled'
    ],
    'python -m lgh_mmpose get_flops':
    ['test_tools/test_mmpose_tools.py::test_get_flops_counts_our_networks'],
    'python -m lgh_mmpose browse_dataset': [
        'test_tools/test_mmpose_tools.py::test_mmposes_browse_dataset_draws_'
        'the_joints'
    ],
    'python demo/web_demo.py': ['test_web_demo.py::url'],
    'python tools/ablation.py configs/ablations/groups.yaml --data-root '
    'data/synthhand': ['test_tools/test_ablation.py'],
    'python tools/analysis_tools/joint_mutual_information.py': [
        'test_tools/test_joint_mutual_information.py::test_writes_what_the_'
        'selector_reads'
    ],
    'python tools/analysis_tools/show_conflicts.py':
    ['test_tools/test_show_conflicts.py::test_draws_and_groups'],
    'lgh-adapt': ['test_adaptation/test_adapting.py'],
    'python tools/analysis_tools/compare_training.py':
    ['test_tools/test_compare_training.py'],
    'python benchmarks/compare_mediapipe.py':
    ['test_benchmarks/test_compare_mediapipe.py'],
    'python tools/dataset_converters/make_studiohand.py data/studiohand_large '
    '--num-train 4 --num-eval 2 --size 48 --workers 1 --shards 2 --executor': [
        'test_rendering/test_write_shards.py::test_the_command_sends_jobs_to_'
        'slurm'
    ],
    'python tools/train.py configs/detection/rtmdet-nano_studiohand.py':
    ['test_tools/test_score_detector.py'],
    'python tools/analysis_tools/score_detector.py':
    ['test_tools/test_score_detector.py'],
    'python tools/deployment/export.py configs/detection/'
    'rtmdet-nano_studiohand.py': ['test_tools/test_score_detector.py'],
    'python benchmarks/run.py': ['test_benchmarks/test_run.py'],
    'python benchmarks/plot_performance.py': ['test_benchmarks/test_run.py'],
    'python benchmarks/training_speed.py configs/'
    'lgh_studiohand.py --data-root DIR --variants':
    ['test_benchmarks/test_training_speed.py::test_variants_take_turns'],
}

# command, or its beginning -> why no test runs it; asked before ELSEWHERE
NOWHERE = {
    'pip install':
    'asks a package index',
    'make test':
    'is this suite',
    'bash tools/dist_train.sh configs/lgh_freihand.py 8':
    '8 processes',
    'bash tools/dist_train.sh configs/lgh_fsdp_freihand.py 8':
    '8 processes',
    'OMP_NUM_THREADS=1 bash tools/dist_train.sh':
    'processes of 10 s of imports each; test_engine/test_distributed.py has '
    'what they do',
    'GPUS=64 bash tools/slurm_train.sh':
    'no cluster is here',
    'python tools/ablation.py configs/ablations/groups.yaml --data-root '
    'data/synthhand --executor slurm':
    'no cluster is here',
    'python benchmarks/training_speed.py configs/'
    'lgh_studiohand.py --data-root DIR --processes':
    'processes of 8 s of imports each; test_engine/test_distributed.py has '
    'what they do',
}

# a checkpoint like any other
_EPOCH = re.compile(r'^work_dirs/\S+/epoch_\d+\.pth$')
# options whose value is what is written, or its beginning
_OUTPUTS = ('--out', '-o', '--out-dir', '--output-dir', '--json',
            '--submission', '--predictions', '--sheet')


def toy_commands():
    """Each command of the documents, once, with a document that shows it."""
    commands = {}
    for document in DOCUMENTS:
        for words in commands_of(document.read_text()):
            words = tuple(
                TOY_OPTIONS.get(before, _EPOCH.sub('CHECKPOINT', word))
                for before, word in zip([None, *words], words))
            if words[0] != 'export':  # variables of the shell
                commands.setdefault(words, document.name)
    return commands


def entry_of(command, table):
    """The entry of a table that a command begins with, if any."""
    text = ' '.join(command) + ' '
    return next((entry for entry in table if text.startswith(entry + ' ')),
                None)


def commands_to_run():
    return [
        pytest.param(command, id=f'{document}: {" ".join(command)}')
        for command, document in toy_commands().items()
        if not entry_of(command, {
            **NOWHERE,
            **ELSEWHERE
        })
    ]


# -- what the documents speak of ---------------------------------------------


def toy_config(path):
    """A config with a small network and one short epoch."""
    cfg = Config.fromfile(path)
    if cfg.model.backbone.get('depth') == 50:
        cfg.merge_from_dict({
            'model.backbone.depth': 18,
            'model.backbone.stem_channels': 16,
            'model.backbone.base_channels': 16,
            'model.neck.in_channels': (16, 32, 64, 128)
        })
    if cfg.get('train_cfg'):
        cfg.train_cfg.max_epochs = 1
    for split in ('train', 'val', 'test'):
        if cfg.get(f'{split}_dataloader') is not None:
            cfg[f'{split}_dataloader'].dataset.indices = 2
            cfg[f'{split}_dataloader'].update(
                batch_size=2, num_workers=0, persistent_workers=False)
    # it changes the memory of this process for good
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks if hook.type != 'KeepMemoryHook'
    ]
    cfg.default_hooks.checkpoint.save_optimizer = False
    return cfg


def write_my_hands(folder):
    """A csv of hands and their images, as the page on own data has them."""
    content = write_hand3d_json(folder, num=5)
    rows = []
    for image, hand in zip(content['images'], content['annotations']):
        (fx, _, cx), (_, fy, cy), _ = hand['camera_matrix']
        joints = zip(FREIHAND_NAMES, hand['keypoints_cam'])
        rows.append(
            dict(
                image=image['file_name'],
                hand_side=hand['hand_side'],
                fx=fx,
                fy=fy,
                cx=cx,
                cy=cy,
                **{
                    f'{name}_{axis}': value
                    for name, xyz in joints
                    for axis, value in zip('xyz', xyz)
                }))
    with open(folder / 'hands.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_data(root):
    """The data sets, under the names of the configs and documents."""
    freihand = write_freihand(root / 'freihand', num_train=2, num_eval=2)
    for name in ('synthhand', 'own_freihand'):
        shutil.copytree(freihand, root / name, copy_function=os.link)
    write_studiohand(root / 'studiohand', 2, 2, size=64, quiet=True)
    shutil.copytree(
        root / 'studiohand', root / 'studiohand_224', copy_function=os.link)
    # the authors' crop takes whole images of RHD's size
    write_studiohand(
        root / 'studiohand_coco', 2, 2, size=48, layout='coco', quiet=True)
    write_studiohand(root / 'rhd', 2, 2, layout='rhd', quiet=True)
    shutil.copytree(
        root / 'rhd', root / 'studiohand_rhd', copy_function=os.link)
    write_stb(
        root / 'stb', [
            f'B{i}{kind}' for i in range(1, 7)
            for kind in ('Counting', 'Random')
        ],
        num=1)
    write_dexter_object(root / 'dexter+object', num=1)
    write_photos(root / 'photos')
    for split in ('training', 'evaluation'):
        write_hand3d_json(root / 'own', f'{split}.json', num=2)
    for image in (root / 'own/images').iterdir():
        image.rename(root / 'own' / image.name)


def write_files(root):
    """The files that commands of the documents are given by name."""
    photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    cv2.imwrite(str(root / 'photo.jpg'), photo)
    video = cv2.VideoWriter(
        str(root / 'video.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25,
        (320, 240))
    for _ in range(3):
        video.write(photo)
    video.release()
    (root / 'camera.json').write_text('[[300, 0, 160], [0, 300, 120], '
                                      '[0, 0, 1]]')
    for name in ('given', 'solved', 'rhd'):
        write_predictions(root / f'{name}.npz')
    hands = json.loads((root / 'data/photos/hands.json').read_text())
    for name in ('old', 'new'):
        answer = dict(keypoints=hands[0]['keypoints'], keypoints_cam=None)
        (root / f'{name}.json').write_text(json.dumps([answer] * len(hands)))
    rhd = dict(np.load(root / 'rhd.npz'), protocol=np.array('rhd'))
    for name in ('errors_root', 'errors_procrustes'):
        del rhd[name]
    np.savez(root / 'rhd.npz', **rhd)
    xyz = json.loads((root / 'data/freihand/evaluation_xyz.json').read_text())
    with zipfile.ZipFile(root / 'pred.zip', 'w') as archive:
        mesh = np.zeros((len(xyz), 778, 3)).tolist()
        archive.writestr('pred.json', json.dumps([xyz, mesh]))
    torch.save(official_checkpoint(build_model()), root / 'THEIRS.pth')


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """What the documents speak of; to be copied, not to be run in."""
    init_default_scope('mmpose')
    root = tmp_path_factory.mktemp('workspace')
    shutil.copytree(REPO_ROOT / 'configs', root / 'configs')
    for path in (root / 'configs').glob('*.py'):
        toy_config(path).dump(path)
    for name, text in PAGE_FILES.items():
        (root / name).write_text(text)
    write_data(root / 'data')
    (root / 'my_hands').mkdir()
    write_my_hands(root / 'my_hands')
    write_files(root)
    return root


@pytest.fixture(scope='module')
def weights(workspace):
    """Gives the file of a config's weights, untrained."""

    @lru_cache(maxsize=None)
    def file_of(config):
        from mmpose.apis import init_model
        torch.manual_seed(0)
        cfg = Config.fromfile(workspace / config)
        cfg.model.backbone.init_cfg = None
        model = init_model(cfg, device='cpu')
        path = workspace / f'{Path(config).stem}.pth'
        torch.save(dict(state_dict=model.state_dict(), meta={}), path)
        return path

    return file_of


@pytest.fixture
def here(workspace, tmp_path, monkeypatch):
    """A copy of the workspace to run in."""
    folder = tmp_path / 'here'
    shutil.copytree(workspace, folder, copy_function=os.link)
    monkeypatch.syspath_prepend(folder)
    return folder


# -- the tests ---------------------------------------------------------------


def prepare(command, here, weights):
    """Lay out what this command needs beside the rest."""
    _, script, *arguments = command
    config = next((w for w in arguments if w.startswith('configs/')),
                  'configs/lgh_studiohand.py')
    for word in arguments:
        if re.fullmatch(r'CHECKPOINT\w*|OURS\.pth', word):
            if 'convert' not in script:
                os.link(weights(config), here / word)
        elif word.startswith('work_dirs/'):
            # of a training, whose config its name or, else, any has
            path = here / f'configs/{Path(word).name}.py'
            if not path.exists():
                path = here / 'configs/lgh_freihand.py'
            state = torch.load(weights(f'configs/{path.name}'))['state_dict']
            write_work_dir(here / word, Config.fromfile(path), state)
    if 'mine' in arguments:  # what lgh-adapt writes
        shutil.copytree(REPO_ROOT / 'lgh_mmpose/weights/hand_pose',
                        here / 'mine')
    if 'exported' in arguments and '-o' not in arguments:
        if not (here / 'CHECKPOINT').exists():
            os.link(weights(config), here / 'CHECKPOINT')
        run_script(
            REPO_ROOT / 'tools/deployment/export.py',
            *(config, 'CHECKPOINT', '--backend', 'openvino', '-o', 'exported'),
            cwd=here)
    elif 'converters' in script:
        # what it is to write is not there yet
        for word in arguments:
            if word.startswith('data/') and word != 'data/freihand':
                shutil.rmtree(here / word, ignore_errors=True)


def stand_in_for_a_webcam_and_a_screen(here, monkeypatch):
    shown = []
    capture = cv2.VideoCapture
    film = str(here / 'video.mp4')
    monkeypatch.setattr(cv2, 'VideoCapture', lambda source: capture(film))
    monkeypatch.setattr(cv2, 'imshow', lambda *picture: shown.append(picture))
    monkeypatch.setattr(cv2, 'waitKey', lambda delay: -1)
    monkeypatch.setenv('DISPLAY', ':0')
    return shown


def check_hands(arguments, here, output):
    """What ``demo/hand3d_demo.py`` wrote of a photo or a video."""
    options = dict(zip(arguments, arguments[1:]))
    source = arguments[0]
    if '--json' in options:
        text = output if options['--json'] == '-' else \
            (here / options['--json']).read_text()
        # the bar of the standard error may stand before a line
        frames = list(map(json.loads, re.findall(r'\{"schema".*\}', text)))
        assert [frame['frame'] for frame in frames
                ] == list(range(3 if source == 'video.mp4' else 1))
        for frame in frames:
            assert frame['schema'] == 'lgh_mmpose/hands/1'
            assert frame['source'] == source
            assert frame['image_size'] == [320, 240]
            for hand in frame['hands']:
                assert np.shape(hand['keypoints']) == (21, 2)
                assert np.shape(hand['keypoints_cam']) == (21, 3)
                assert len(hand['scores']) == len(hand['joint_names']) == 21
        # in a video an untrained network finds none
        assert frames[0]['hands'] or source == 'video.mp4'
    if '--out-dir' in options:
        written, = (here / options['--out-dir']).iterdir()
        assert written.stem == Path(source).stem
        # pictures are read by it, too
        capture, pictures = cv2.VideoCapture(str(written)), []
        while (read := capture.read())[0]:
            pictures.append(read[1].shape)
        assert pictures == [(240, 320, 3)
                            ] * (3 if source == 'video.mp4' else 1)


@pytest.mark.parametrize('command', commands_to_run())
def test_command_runs(command, here, weights, monkeypatch):
    command = [
        'configs/lgh_studiohand.py' if word == 'CONFIG' else word
        for word in command
    ]
    while '=' in command[0]:
        monkeypatch.setenv(*command.pop(0).split('='))
    if command[0] == 'lgh-hands':
        command = ['python', 'demo/hand3d_demo.py', *command[1:]]
    program, script, *arguments = command
    assert program == 'python', f'{program} is in no list'
    prepare(command, here, weights)
    shown = None
    if '--show' in arguments:
        shown = stand_in_for_a_webcam_and_a_screen(here, monkeypatch)
    output = run_script(REPO_ROOT / script, *arguments, cwd=here).stdout
    assert output
    if script == 'demo/hand3d_demo.py':
        check_hands(arguments, here, output)
    for option, value in zip(arguments, arguments[1:]):
        if option in _OUTPUTS and value != '-':
            out = here / value
            assert out.exists() or list(out.parent.glob(f'{out.name}.*'))
    assert shown is None or shown


@pytest.mark.parametrize('page', ['inference.md', 'report.md'])
def test_python_of_the_page_runs(page, here, weights, monkeypatch):
    """The blocks of Python, one after the other."""
    prepare(['python', '', 'CHECKPOINT', 'work_dirs/lgh_freihand'], here,
            weights)
    (here / 'photos').mkdir()
    os.link(here / 'photo.jpg', here / 'photos/photo.jpg')
    monkeypatch.chdir(here)
    text = (REPO_ROOT / 'docs' / page).read_text()
    blocks = re.findall(r'^```python\n(.*?)^```', text,
                        re.MULTILINE | re.DOTALL)
    assert blocks
    names = dict(keypoints_cam=np.random.default_rng(0).normal(size=(21, 3)))
    for block in blocks:
        exec(block.replace("'CONFIG'", "'configs/lgh_studiohand.py'"), names)
    if page == 'report.md':
        assert (here / 'report.html').stat().st_size > 1e6
        assert (here / 'hand.html').is_file()
    else:
        assert len(names['samples'][0].pred_instances.keypoints[0]) == 21
        assert names['result']['predictions']
        assert list((here / 'pictures').rglob('photo.jpg'))


def test_the_lists_are_of_documented_commands():
    commands = toy_commands()
    for table in (ELSEWHERE, NOWHERE):
        for entry in table:
            assert any(entry_of(c, [entry]) for c in commands), entry


@pytest.mark.parametrize(
    'command', [
        c for c in toy_commands()
        if entry_of(c, ELSEWHERE) and not entry_of(c, NOWHERE)
    ],
    ids=' '.join)
def test_the_tests_of_the_others_name_program_and_options(command):
    text = ''
    for test in ELSEWHERE[entry_of(command, ELSEWHERE)]:
        path, _, name = test.partition('::')
        module = (REPO_ROOT / 'tests' / path).read_text()
        # the test or fixture is there, and the module has what it runs
        assert re.search(rf'^def {name or "test_"}', module, re.MULTILINE)
        text += module
    program, target = command[:2]
    if program == 'make':
        makefile = (REPO_ROOT / 'Makefile').read_text()
        recipe = re.search(rf'^{target}:.*\n((?:\t.*\n)+)', makefile,
                           re.MULTILINE)[1]
        # what comes before the last script prepares its data
        target = re.findall(r'\S+\.py', recipe)[-1]
    assert Path(target).name in text
    for option in re.findall(r'(?<!\S)--[\w-]+', ' '.join(command)):
        assert f"'{option}" in text, option
