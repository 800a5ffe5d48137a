"""The release's checkpoint becomes one of ours and comes back, or nothing."""
import importlib.util
import io
import pickle
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_command, toy_hand
from mmengine.logging import HistoryBuffer
from official_network import CONFIG, build_model, official_checkpoint

import lgh_mmpose  # noqa: F401  (lets torch.load read the checkpoints)
from lgh_mmpose.models.official_weights import from_official

CONVERT = REPO_ROOT / 'tools/model_converters/convert_official_checkpoint.py'
TEST = REPO_ROOT / 'tools/test.py'
# our hand's joints, wrist and base to tip, in RHD's order, tip to base
TO_RHD = [0, *(4 * f + j for f in range(5) for j in (4, 3, 2, 1))]


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('convert_official', CONVERT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def release():
    """A checkpoint of the release for two groups; copy before a change."""
    return official_checkpoint(build_model(2))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('official')


@pytest.fixture(scope='module')
def converted(folder):
    """Files of three groups, converted by the command: theirs, then ours."""
    theirs, ours = folder / 'RHD_final.pth', folder / 'converted.pth'
    torch.save(official_checkpoint(build_model()), theirs)
    output = run_command(
        sys.executable, CONVERT, theirs, ours, cwd=folder).stdout
    assert f'{ours}: 3 groups, fused, for {CONFIG.name}\n' in output
    return theirs, ours


@pytest.fixture
def run(tool, tmp_path, monkeypatch, capsys):
    """Convert a checkpoint, or a file, and return what came of it."""

    def run(checkpoint, *arguments):
        src, dst = tmp_path / 'src.pth', tmp_path / 'dst.pth'
        if isinstance(checkpoint, bytes):
            src.write_bytes(checkpoint)
        else:
            torch.save(checkpoint, src)
        monkeypatch.setattr(sys, 'argv',
                            ['convert', *map(str, (src, dst, *arguments))])
        code = tool.main()
        captured = capsys.readouterr()
        assert (code == 0) == dst.exists()
        assert {p.name for p in tmp_path.iterdir()} <= {src.name, dst.name}
        return code, captured.out + captured.err, dst

    return run


def refused(run, checkpoint, *arguments):
    code, output, _ = run(checkpoint, *arguments)
    assert code == 1
    error = output.splitlines()[-1]
    assert error.startswith('error: ')
    return error


def changed(release, **weights):
    """The checkpoint with some weights replaced; None takes one away."""
    state = {**release['model_state_dict'], **weights}
    return dict(
        release,
        model_state_dict={
            k: v
            for k, v in state.items() if v is not None
        })


def test_there_and_back_is_the_same_file(converted, folder):
    theirs, ours = converted
    back = folder / 'back.pth'
    run_command(sys.executable, CONVERT, ours, back, '--reverse', cwd=folder)
    expected, got = torch.load(theirs), torch.load(back)
    assert got['Temperature'] == expected['Temperature'] == 0.1
    expected, got = expected['model_state_dict'], got['model_state_dict']
    assert set(got) == set(expected)
    assert all(torch.equal(got[name], expected[name]) for name in expected)


def write_rhd(root, num=3):
    """A tiny evaluation set in RHD's layout: right hands, then a left one."""
    rng = np.random.default_rng(0)
    base = root / 'evaluation'
    annotations = {}
    for i in range(num):
        left = i == num - 1
        camera = np.array([[300., 0, 160], [0, 300, 160], [0, 0, 1]])
        hand = toy_hand(rng)[TO_RHD]
        xyz = np.tile(hand, (2, 1))
        uv = xyz @ camera.T
        uv_vis = np.concatenate([uv[:, :2] / uv[:, 2:], np.ones((42, 1))], 1)
        uv_vis[:21, 2], uv_vis[21:, 2] = left, not left
        annotations[i] = dict(xyz=xyz, uv_vis=uv_vis, K=camera)
        mask = np.zeros((320, 320), np.uint8)
        cv2.fillConvexPoly(
            mask, cv2.convexHull(np.round(uv_vis[:21, :2]).astype(np.int32)),
            5 if left else 20)
        image = rng.integers(0, 255, (320, 320, 3), dtype=np.uint8)
        for name, pixels in (('color', image), ('mask', mask)):
            (base / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(base / name / f'{i:05d}.png'), pixels)
    (base / 'anno_evaluation.pickle').write_bytes(pickle.dumps(annotations))
    return root


def test_the_result_runs_through_the_test_command_and_the_api(
        converted, folder):
    """tools/test.py predicts what the release's weights predict here."""
    from mmpose.apis import init_model
    from mmpose.registry import DATASETS
    theirs, ours = converted
    root = write_rhd(folder / 'rhd')
    output = run_command(
        *(sys.executable, TEST, CONFIG, ours, '--dump', 'predictions.pkl'),
        *('--out', 'scores.json', '--cfg-options', f'data_root={root}'),
        *('test_dataloader.num_workers=0', 'test_dataloader.batch_size=2'),
        'test_dataloader.persistent_workers=False',
        cwd=folder).stdout
    assert 'do not match exactly' not in output
    assert 'rhd/' in (folder / 'scores.json').read_text()

    model = init_model(str(CONFIG), str(ours), device='cpu')
    assert model.dataset_meta['keypoint_id2name'][1] == 'thumb4'
    expected = from_official(torch.load(theirs), model.state_dict())
    assert all(
        torch.equal(value, expected[name])
        for name, value in model.state_dict().items())

    cfg = model.cfg.test_dataloader.dataset
    cfg.data_root = str(root)
    dataset = DATASETS.build(cfg)
    with open(folder / 'predictions.pkl', 'rb') as file:
        predictions = pickle.load(file)
    assert len(predictions) == len(dataset) == 3
    for item, prediction in zip(dataset, predictions):
        with torch.no_grad():
            image = item['inputs'][None].flip(1) / 255.  # RGB in [0, 1]
            uv, depth = model(image, None, mode='tensor')
        sample = item['data_samples']
        decoded = model.head.decoder.decode(
            torch.cat([uv, depth[..., None]], -1).numpy(), **{
                key: sample.metainfo[key]
                for key in ('warp_mat', 'camera_matrix', 'bone_length',
                            'root_depth')
            })
        np.testing.assert_allclose(
            prediction['pred_instances']['keypoints_cam'],
            decoded['keypoints_cam'],
            rtol=1e-4,
            atol=1e-2)


@pytest.mark.parametrize(
    'groups, fusion, described',
    [(1, False, '1 group, not fused, for lgh_rhd_official.py --cfg-options '
      'model.neck.num_groups=1 model.head.num_groups=1'),
     (2, True, '2 groups, fused, for lgh_rhd_official.py --cfg-options '
      'model.neck.num_groups=2 model.head.num_groups=2'),
     (3, False, '3 groups, not fused, for lgh_rhd_official.py --cfg-options '
      'model.neck.fusion=None')])
def test_says_what_options_a_checkpoint_of_another_size_needs(
        run, groups, fusion, described):
    checkpoint = official_checkpoint(build_model(groups, fusion))
    code, output, dst = run(checkpoint, '--num-groups', groups)
    assert code == 0 and output == f'{dst}: {described}\n'
    model = build_model(groups, fusion)
    model.load_state_dict(torch.load(dst)['state_dict'])


def test_a_missing_and_a_surplus_weight_are_named(run, release):
    name = 'nddr_layer0.Conv_Task_List.1.0.bias'
    error = refused(run, changed(release, **{name: None}))
    assert error.endswith(f'missing: {name}')
    error = refused(run, changed(release, extra=torch.zeros(3)))
    assert error.endswith('surplus: extra')
    many = {f'module.{i}': torch.zeros(1) for i in range(8)}
    assert 'and 3 more' in refused(run, changed(release, **many))


@pytest.mark.parametrize('name, value, message', [
    ('meta_S.weight', torch.zeros(
        20, 2), 'meta_S.weight is float32 of (20, 2), not float32 of (21, 2)'),
    ('backbone.conv1_.bias', torch.zeros(64, dtype=torch.float64),
     'backbone.conv1_.bias is float64 of (64,), not float32 of (64,)'),
    ('backbone.conv1_.bias', torch.full(
        (64, ), float('nan')), 'backbone.conv1_.bias is not finite'),
    ('backbone.conv1_.bias', [0.] * 64,
     'backbone.conv1_.bias is a list, not a tensor'),
    ('b_get_uv.1.wy', torch.zeros(
        64, 64), 'b_get_uv.1.wy does not hold the coordinates'),
    ('b_conv0.1.block.1.num_batches_tracked', torch.tensor(7),
     'b_conv0.1.block.1.num_batches_tracked must be equal'),
])
def test_a_wrong_weight_is_named(run, release, name, value, message):
    assert message in refused(run, changed(release, **{name: value}))


@pytest.mark.parametrize('temperature', [None, 0., float('nan'), 'cold'])
def test_the_temperature_must_be_a_positive_number(run, release, temperature):
    checkpoint = dict(release, Temperature=temperature)
    assert "'Temperature' must be a positive" in refused(run, checkpoint)


def test_the_temperature_may_be_an_array_or_a_tensor(run, release):
    for temperature in (torch.tensor([0.5]), np.float64(0.5), 0.5):
        code, _, dst = run(dict(release, Temperature=temperature))
        state = torch.load(dst)['state_dict']
        assert float(state['head.selector.temperature']) == 0.5
        dst.unlink()


def test_the_number_of_groups_must_be_the_one_asked_for(run, release):
    assert 'has 2 groups, not the 3 of --num-groups' in \
        refused(run, release, '--num-groups', 3)


@pytest.mark.parametrize('checkpoint, message', [
    (dict(state_dict={}), "has no 'model_state_dict'"),
    ([1, 2], "has no 'model_state_dict'"),
    (dict(model_state_dict={3: torch.zeros(1)}), 'a dict of weights by name'),
    (dict(model_state_dict=dict(weight=torch.zeros(1))), 'no groups'),
])
def test_says_that_a_file_is_not_of_the_release(run, checkpoint, message):
    assert message in refused(run, checkpoint)


def test_back_wants_one_of_our_checkpoints(run, release):
    assert "not a checkpoint of mmengine: it has no 'state_dict'" in \
        refused(run, release, '--reverse')
    plain = dict(state_dict=dict(weight=torch.zeros(1)))
    assert 'no selector' in refused(run, plain, '--reverse')
    other = build_model(2).state_dict()
    other['neck.lateral.0.conv.weight'] = torch.zeros(1)
    assert 'surplus: neck.lateral.0.conv.weight' in \
        refused(run, dict(state_dict=other), '--reverse')


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


MALICIOUS = Call(exec, 'raise SystemExit("it ran")')


def test_code_in_a_checkpoint_is_named_and_not_run(run, release):
    error = refused(run, dict(release, Temperature=MALICIOUS))
    assert 'dangerous: it holds code (exec), which was not run' in error
    assert 'holds code (exec)' in refused(
        run, pickle.dumps(dict(model_state_dict=MALICIOUS), protocol=2))


@pytest.mark.parametrize('call, request_', [
    (Call(getattr, HistoryBuffer,
          'register_statistics'), "to look up 'register_statistics' of "),
    (Call(bytes, 10), 'to call bytes(10,)'),
])
def test_what_our_own_rules_forbid_is_not_called_broken(
        run, release, call, request_):
    error = refused(run, dict(release, Temperature=call))
    assert f'src.pth may be dangerous: it holds code ({request_}' in error
    assert 'which was not run' in error


# what torch writes at the head of a file of before 1.6
LEGACY_HEAD = b''.join(
    pickle.dumps(x, protocol=2) for x in (0x1950a86a20f9469cfc6c, 1001, {}))


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'PK',
        pickle.dumps({}),
        b'\x80\x02.',  # IndexError
        b'\x80\x02J\x00',  # struct.error
        LEGACY_HEAD + b'\x80\x02K\x01Q.',  # AssertionError
    ])
def test_a_broken_file_is_named(run, content):
    error = refused(run, content)
    assert 'src.pth: it is no file of torch.save, or damaged' in error


def test_a_file_of_an_old_torch_is_read(run, release):
    """The release's is from before the zip format of torch 1.6."""
    file = io.BytesIO()
    torch.save(release, file, _use_new_zipfile_serialization=False)
    assert not file.getvalue().startswith(b'PK')
    code, _, _ = run(file.getvalue())
    assert code == 0


def test_what_was_there_stays_if_the_conversion_fails(folder, release):
    src, dst = folder / 'lacking.pth', folder / 'precious.pth'
    torch.save(changed(release, **{'meta_S.weight': None}), src)
    dst.write_text('precious')
    result = run_command(
        sys.executable, CONVERT, src, dst, cwd=folder, check=False)
    assert result.returncode == 1
    assert 'missing: meta_S.weight' in result.stdout
    assert 'Traceback' not in result.stdout
    assert dst.read_text() == 'precious'


def test_an_absent_file_is_named(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['convert', 'nowhere.pth', 'dst.pth'])
    assert tool.main() == 1
    assert 'checkpoint not found: nowhere.pth' in capsys.readouterr().err
