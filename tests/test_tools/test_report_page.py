"""The report, as a file and in a browser.

The browser tests need Playwright and Chromium (CHROMIUM=FILE, or on the PATH)
and are skipped without. SCREENSHOTS=DIR keeps their pictures.
"""
import html
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import (BROWSER_TIMEOUT_MS, REPO_ROOT, open_chromium, run_command,
                     run_script)
from mmengine.config import Config
from work_dir_writer import write_predictions, write_work_dir

from lgh_mmpose.config import set_data_root
from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.visualization.report import local_paths, write_report

REPORT = REPO_ROOT / 'tools/analysis_tools/report.py'
CONFIG = REPO_ROOT / 'configs/lgh_synthhand.py'
# in names that come from files
MARKUP = '</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope='module')
def config(freihand_root):
    cfg = Config.fromfile(CONFIG)
    set_data_root(cfg, str(freihand_root))
    return cfg


@pytest.fixture(scope='module')
def predictions(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predictions')
    return write_predictions(
        folder / 'run.npz', image_name='{}<img src=x onerror=alert(1)>.jpg')


@pytest.fixture(scope='module')
def report(config, predictions, tmp_path_factory):
    """A report of two tests, with markup in every name from outside."""
    folder = tmp_path_factory.mktemp('report')
    worse = write_predictions(folder / 'worse.npz', noise=30.)
    write_work_dir(folder / 'work', config)
    return write_report(
        folder / 'work',
        folder / 'out/report.html',
        predictions={
            'first': predictions,
            f'second {MARKUP}': worse
        },
        num_samples=2,
        command=['make', MARKUP])


def page_data(path):
    text = Path(path).read_text(encoding='utf-8')
    return json.loads(
        re.search(
            '<script type="application/json" id="report-data">(.*?)'
            '</script>', text, re.DOTALL)[1])


def visible_text(path):
    """What stands on the page, with its scripts and styles left out."""
    text = Path(path).read_text(encoding='utf-8')
    text = re.sub('<(script|style).*?</\\1>', '', text, flags=re.DOTALL)
    return ' '.join(re.sub('<[^>]*>', ' ', text).split())


# ---- the file


def test_command_tests_the_checkpoint_and_writes_one_file(config, tmp_path):
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS
    init_default_scope('mmpose')
    model = MODELS.build(config.model)
    # what a resumed training writes: the report is to test, not to resume
    resumed = Config(dict(config.to_dict(), resume=True))
    write_work_dir(tmp_path / 'work', resumed, model.state_dict())
    output = run_command(
        *(sys.executable, REPORT, 'work', '--num-samples', 1),
        *('--cfg-options', 'model.test_cfg.root_depth=given'),
        *('test_dataloader.num_workers=0',
          'test_dataloader.persistent_workers=False'),
        cwd=tmp_path).stdout
    assert 'wrote work/report.html' in output
    assert 'resumed epoch' not in output
    # nothing of the test is left
    assert sorted(p.name for p in (tmp_path / 'work').iterdir()) == [
        '20200101_000000', 'epoch_2.pth', 'last_checkpoint', 'report.html',
        'toy.py'
    ]
    text = visible_text(tmp_path / 'work/report.html')
    assert 'toy, epoch 2: report' in text and '20 iterations' in text
    assert 'root depth given' in text and '4 samples' in text
    assert 'report.py work --num-samples 1' in text
    assert 'mean pose (baseline)' in text
    assert [
        s['title'].split(':')[0]
        for s in page_data(tmp_path / 'work/report.html')['samples']
    ] == ['worst', 'median', 'best']


def test_page_tells_nothing_of_the_machine(freihand_root, predictions,
                                           tmp_path):
    """It is made to be sent to others."""
    tmp_path = tmp_path / 'jane doe/private data'
    tmp_path.mkdir(parents=True)
    cfg = Config.fromfile(CONFIG)
    set_data_root(cfg, str(tmp_path / 'data set'))
    write_work_dir(tmp_path / 'work', cfg)
    arrays = dict(np.load(predictions))
    arrays['img_path'] = np.array([
        str(freihand_root / f'evaluation/rgb/{i % 4:08d}.jpg')
        for i in range(len(arrays['id']))
    ])
    np.savez(tmp_path / 'given.npz', **arrays)
    work = tmp_path / 'work'
    for dataset, folder in ((freihand_root, 'evaluation/rgb'),
                            (tmp_path / 'data set', 'rgb')):
        run_script(
            *(REPORT, work, '--predictions', tmp_path / 'given.npz'),
            *('--checkpoint', work / 'epoch_2.pth', '--config'),
            *(work / 'toy.py', '--out', work / 'out.html', '--dataset'),
            *(dataset, '--cfg-options',
              f'test_evaluator.0.dump_file={work}/a'),
            cwd=tmp_path)
        text = (work / 'out.html').read_text(encoding='utf-8')
        for private in (tmp_path, freihand_root, REPO_ROOT):
            assert str(private) not in text
        text = html.unescape(visible_text(work / 'out.html'))
        assert 'jane' not in text and 'private' not in text
        assert f'--dataset {shlex.quote(dataset.name)} ' in text
        assert f'samples from {folder} ' in text
        assert ('python report.py work --predictions given.npz --checkpoint '
                'work/epoch_2.pth --config work/toy.py --out work/out.html'
                ) in text
        assert 'test_evaluator.0.dump_file=work/a' in text
    # what cannot be read is said, without where
    assert 'the training set cannot be read' in text


@pytest.mark.parametrize('text, told', [
    ('/x/jane doe/data/set', 'set'),
    ('data_root=/x/jane doe/data set/', 'data_root=data set/'),
    ('{/home/jane/a}', '{a}'),
    ("['/x/jane (doe)/a', '/y/z']", "['a', 'z']"),
    ("/x/o'neil, j/set", 'set'),
    ('../../home/jane', 'jane'),
    ('data/../../home/jane/a', 'a'),
    ('~jane/a', 'a'),
    ('/a/b', 'b'),
    ('out=/a/b/epoch 2.pth', 'out=b/epoch 2.pth'),
    ('/a/b0/a.pth', 'a.pth'),
    ('[/a/b/c,/a/b0/d,/a/b]', '[b/c,d,b]'),
    ('work dirs/c d/e.pth', 'work dirs/c d/e.pth'),
    ('café/a.py', 'café/a.py'),
    ('/', '/'),
    ('/x/jane doe/a is not in /y/b: see docs/c.md',
     'a is not in b: see docs/c.md'),
    ("No such file: '/x/jane doe/a.json'", "No such file: 'a.json'"),
])
def test_paths_are_told_from_the_work_dir_on(text, told):
    assert local_paths(text, '/a/b') == told


def test_weights_that_are_not_the_models_are_refused(config, tmp_path):
    """Else a network with random weights is what would be scored."""
    write_work_dir(tmp_path / 'work', config)  # the selector's weights alone
    with pytest.raises(ValueError, match=r'epoch_2\.pth is not .* backbone'):
        write_report(tmp_path / 'work', tmp_path / 'report.html')
    assert not (tmp_path / 'report.html').exists()


def test_figures_are_those_of_the_predictions(report, predictions):
    text = visible_text(report)
    dump = np.load(predictions)
    for alignment, name in (('root', 'MPJPE: root-aligned at middle_finger1'),
                            ('procrustes', 'PA-MPJPE')):
        value = F.mpjpe(dump[f'errors_{alignment}'])
        assert re.search(f'{re.escape(name)}.{{0,90}}?{value:.1f} mm', text,
                         re.DOTALL)
    worst = dump['errors_root'][:, 1:].mean(axis=0)
    assert f'{worst.max():.1f} mm (light' in text
    # the mean pose of the training set, which has other hands
    assert 'the same answer for every image' in text


def test_samples_are_worst_median_and_best(report, predictions):
    samples = page_data(report)['samples']
    errors = np.load(predictions)['errors_root'].mean(axis=1)
    order = np.argsort(errors)
    expected = [*order[::-1][:2], *order[3:5], *order[:2]]
    assert [int(re.search(r'sample (\d+)', s['title'])[1])
            for s in samples] == expected
    for sample in samples:
        assert sample['image'].startswith('data:image/jpeg;base64,')
        assert len(sample['joints']) == 21
        assert len(sample['prediction']) == len(sample['truth']) == 21


def test_pck_curves_stand_beside_the_mean_pose(report):
    chart = page_data(report)['charts']['pck-chart']
    names = [trace['name'] for trace in chart['data']]
    assert names[0] == 'first, MPJPE' and 'mean pose, PA-MPJPE' in names
    first = np.array(chart['data'][0]['y'], float)
    assert (np.diff(first) >= 0).all() and 0 <= first[0] and first[-1] <= 1


def test_published_curves_join_their_own_protocol(config, predictions,
                                                  tmp_path):
    """Dexter+Object: finger tips alone, so that much is not known."""
    arrays = dict(np.load(predictions), protocol=np.array('dexter'))
    for name in ('errors_root', 'errors_procrustes'):
        del arrays[name]
    tips = np.isin(arrays['joint_names'], F.PROTOCOLS['dexter'].joints)
    arrays['annotated'] = arrays['annotated'] & tips
    for name in ('errors_none', 'errors_2d'):
        arrays[name] = np.where(tips, arrays[name], np.nan)
    np.savez(tmp_path / 'dexter.npz', **arrays)
    write_work_dir(tmp_path / 'work', config)
    shutil.rmtree(tmp_path / 'work/20200101_000000')
    out = write_report(
        tmp_path / 'work',
        tmp_path / 'dexter.html',
        predictions=dict(ours=tmp_path / 'dexter.npz'),
        num_samples=1)
    charts = page_data(out)['charts']
    assert list(charts) == ['pck-chart']
    names = [trace['name'] for trace in charts['pck-chart']['data']]
    assert names[0] == 'ours, EPE' and len(names) > 3
    text = visible_text(out)
    # what there is not is said
    for sentence in ('No mean pose as a baseline', 'The depth of',
                     'The view of the palm is not known',
                     'Occlusion by the hand is not known',
                     'holds no log of a training',
                     'how the groups came about is not shown'):
        assert sentence in text
    sample = page_data(out)['samples'][0]
    assert sum(point is not None for point in sample['truth']) == 5


def test_names_from_files_are_no_markup(report):
    text = report.read_text(encoding='utf-8')
    assert MARKUP not in text
    assert '<img src=x' not in text
    assert '&lt;img src=x onerror=alert(1)&gt;' in text


@pytest.mark.parametrize('change, message', [
    (dict(joint_names=np.array(['x'] * 21)), 'differ from the first in'),
    (dict(id=np.arange(9) + 1), 'differ from the first in id'),
    (dict(protocol=np.array('mine')), 'unknown protocol'),
])
def test_predictions_of_another_test_are_refused(config, predictions, change,
                                                 message, tmp_path):
    np.savez(tmp_path / 'other.npz', **dict(np.load(predictions), **change))
    write_work_dir(tmp_path / 'work', config)
    result = run_script(
        REPORT,
        *('work', '--predictions', predictions, 'other.npz'),
        cwd=tmp_path,
        check=False)
    assert message in str(result.returncode)
    assert not (tmp_path / 'work/report.html').exists()


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'no such work dir'),
    (['.'], 'names no checkpoint'),
    (['.', '--checkpoint', 'none.pth'], 'file not found: none.pth'),
    (['.', '--num-samples', '0'], 'must be 1 or more'),
    (['.', '--dataset', 'nowhere'], 'no such data set: nowhere'),
    (['.', '--protocol', 'rhd', '--predictions', 'a.npz'], 'not found'),
])
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    result = run_script(REPORT, *arguments, cwd=tmp_path, check=False)
    assert message in f'{result.stdout}{result.returncode}'


def test_nothing_that_is_read_is_replaced(config, tmp_path):
    write_work_dir(tmp_path / 'work', config)
    predictions = write_predictions(tmp_path / 'run.npz')
    checkpoint = tmp_path / 'work/epoch_2.pth'
    (tmp_path / 'link.html').symlink_to(checkpoint)
    for out in (checkpoint, predictions, tmp_path / 'link.html'):
        before = out.read_bytes()
        with pytest.raises(ValueError, match=f'--out {out} would overwrite'):
            write_report(
                tmp_path / 'work', out, predictions=dict(a=predictions))
        assert out.read_bytes() == before


def test_predictions_do_not_tell_their_checkpoint(report, config, predictions,
                                                  tmp_path):
    text = visible_text(report)
    assert 'toy: report' in text and 'epoch 2' not in text
    assert 'Checkpoint not known: predictions do not tell' in text
    assert 'Of epoch_2.pth, the last checkpoint of the work dir' in text

    write_work_dir(tmp_path / 'work', config)
    text = visible_text(
        write_report(
            tmp_path / 'work',
            tmp_path / 'named.html',
            checkpoint=tmp_path / 'work/epoch_2.pth',
            predictions=dict(named=predictions)))
    assert 'toy, epoch 2: report' in text and '20 iterations' in text
    assert 'not known' not in text and 'the last checkpoint' not in text


@pytest.mark.parametrize('text, message', [
    ('model = dict(\n', 'cannot read the config work/toy.py'),
    ("_base_ = ['nothing.py']\n", 'nothing.py'),
    (f'_base_ = [{str(CONFIG)!r}]\nmodel = dict(backbone=dict('
     "_delete_=True, type='NoSuchNet'))\n", 'NoSuchNet is not in the'),
    (f'_base_ = [{str(CONFIG)!r}]\ntest_dataloader = dict(dataset=dict('
     "_delete_=True, type='NoSuchSet'))\n", 'NoSuchSet is not in the'),
])
def test_a_wrong_config_is_one_sentence(config, text, message, tmp_path):
    write_work_dir(tmp_path / 'work', config)
    (tmp_path / 'work/toy.py').write_text(text)
    result = run_script(REPORT, 'work', cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    assert 'toy.py' in error and message in error


@pytest.mark.parametrize(
    'key', ['model', 'test_dataloader', 'test_cfg', 'test_evaluator'])
def test_a_config_without_a_test_is_one_sentence(config, key, tmp_path):
    write_work_dir(tmp_path / 'work',
                   Config(dict(config.to_dict(), **{key: None})))
    result = run_script(REPORT, 'work', cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith(f'error: the config work/toy.py has no {key},')
    assert len(error.splitlines()) == 1


def test_keys_reach_what_scrolls_and_what_turns(report):
    """Screen readers hand arrow keys to an application, not to an image."""
    text = report.read_text(encoding='utf-8')
    view = re.search('<div id="hand3d"[^>]*>', text)[0]
    assert 'role="application"' in view and 'tabindex="0"' in view
    assert 'aria-roledescription="' in view
    scrolls = re.findall('<div class="scroll"[^>]*>', text)
    assert len(scrolls) > 5
    assert all('tabindex="0"' in tag and 'aria-label="' in tag
               for tag in scrolls)


# ---- in a browser


@pytest.fixture(scope='module')
def browser():
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope='module')
def screenshots(tmp_path_factory):
    folder = os.environ.get('SCREENSHOTS')
    return Path(folder) if folder else tmp_path_factory.mktemp('screenshots')


def open_page(browser, path, width, color_scheme):
    """A page, with what it complained of and asked for."""
    context = browser.new_context(
        viewport=dict(width=width, height=900), color_scheme=color_scheme)
    context.set_default_timeout(BROWSER_TIMEOUT_MS)
    page = context.new_page()
    page.complaints, page.requests = [], []

    def answer(route):
        if route.request.url == path.as_uri():
            return route.continue_()
        page.requests.append(route.request.url)
        return route.abort()

    page.route('**/*', answer)
    page.on('pageerror', lambda error: page.complaints.append(str(error)))
    page.on('dialog', lambda dialog: page.complaints.append(dialog.message))
    page.on(
        'console', lambda message: message.type == 'error' and page.complaints.
        append(message.text))
    page.goto(path.as_uri())
    # the last thing to be drawn
    page.wait_for_selector('#hand3d canvas')
    return page


@pytest.fixture(scope='module')
def desktop(browser, report):
    page = open_page(browser, report, 1200, 'light')
    yield page
    page.context.close()


@pytest.fixture(scope='module')
def phone(browser, report):
    page = open_page(browser, report, 400, 'dark')
    yield page
    page.context.close()


def eye(page):
    """Where the 3D view is seen from."""
    return page.evaluate("""() => {
      const e = document.getElementById('hand3d').layout.scene.camera.eye;
      return [e.x, e.y, e.z];
    }""")


def wait_for_turn(page, before, camera='layout.scene.camera'):
    page.wait_for_function(
        f'x => document.getElementById("hand3d").{camera}.eye.x !== x',
        arg=before[0])


def test_page_opens_without_errors_or_requests(desktop, screenshots):
    desktop.screenshot(path=screenshots / 'report_1200.png', full_page=True)
    assert desktop.complaints == []
    assert desktop.requests == []
    charts = page_chart_ids(desktop)
    assert {
        'pck-chart', 'depth-chart', 'angle-chart', 'hidden-chart',
        'loss-chart', 'score-chart', 'probability-chart', 'entropy-chart'
    } == set(charts)
    # each is drawn, and told to those who do not see it
    for key in charts:
        chart = desktop.locator(f'#{key}')
        assert chart.locator('svg.main-svg').count()
        assert len(chart.get_attribute('aria-label')) > 20
    assert desktop.locator('img:not([alt]), img[alt=""]').count() == 0
    assert desktop.locator('svg.hand[role=img][aria-label]').count() == 2


def page_chart_ids(page):
    return page.eval_on_selector_all('.chart', 'all => all.map(x => x.id)')


def test_the_3d_view_turns_on_a_drag_and_by_keys(desktop, screenshots):
    hand = desktop.locator('#hand3d')
    hand.scroll_into_view_if_needed()
    box = hand.bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    before, picture = eye(desktop), hand.screenshot()
    desktop.mouse.move(x, y)
    desktop.mouse.down()
    desktop.mouse.move(x + 60, y + 10, steps=3)
    # nobody lets go before a frame is drawn
    wait_for_turn(desktop, before, '_fullLayout.scene._scene.getCamera()')
    desktop.mouse.up()
    wait_for_turn(desktop, before)
    dragged = eye(desktop)
    assert np.linalg.norm(np.subtract(dragged, before)) > .2
    assert hand.screenshot(path=screenshots / 'report_turned.png') != picture

    hand.focus()
    desktop.keyboard.press('ArrowRight')
    wait_for_turn(desktop, dragged)
    turned = eye(desktop)
    # about the vertical axis: neither nearer nor higher
    assert turned[2] == pytest.approx(dragged[2])
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(dragged))
    angles = [np.degrees(np.arctan2(e[1], e[0])) for e in (dragged, turned)]
    assert (angles[1] - angles[0]) % 360 == pytest.approx(15)

    desktop.click('#view-side')
    desktop.wait_for_function(
        'document.getElementById("hand3d").layout.scene.camera.eye.x === 1.9')


def sample_state(page):
    return page.evaluate("""() => ({
      value: document.getElementById('sample-picker').value,
      title: document.getElementById('sample-title').textContent,
      image: document.getElementById('sample-image').src,
      alt: document.getElementById('sample-image').alt,
      joint: document.querySelector('#sample-joints tr').textContent,
      x: document.getElementById('hand3d').data[0].x[4],
    })""")


def test_samples_can_be_picked(desktop, report):
    samples = page_data(report)['samples']
    desktop.select_option('#sample-picker', '3')
    states = [sample_state(desktop)]
    view = eye(desktop)
    assert states[0]['title'] == samples[3]['title']
    for key, expected in (('#next', 4), ('#next', 5), ('#next', 0),
                          ('#previous', 5)):
        # as one does without a mouse
        desktop.focus(key)
        desktop.keyboard.press('Enter')
        state = sample_state(desktop)
        assert state['value'] == str(expected)
        for name in ('title', 'image', 'alt'):
            assert state[name] == samples[expected][name]
        assert state['x'] == samples[expected]['traces'][0]['x'][4]
        states.append(state)
    for name in ('title', 'image', 'joint', 'x'):
        assert len({state[name] for state in states}) == 4
    # another sample is seen from the same side
    assert eye(desktop) == view
    assert desktop.complaints == [] and desktop.requests == []


def test_skeletons_can_be_hidden(desktop):
    overlay = desktop.locator('#sample-overlay')
    assert overlay.locator('.prediction line').count() == 20
    desktop.uncheck('#show-prediction')
    assert overlay.locator('.prediction').count() == 0
    assert overlay.locator('.truth line').count() == 20
    desktop.check('#show-prediction')


@pytest.mark.parametrize('view', ['desktop', 'phone'])
def test_joints_are_drawn_where_the_image_has_them(view, request, report):
    page = request.getfixturevalue(view)
    sample = page_data(report)['samples'][1]
    page.select_option('#sample-picker', '1')
    page.wait_for_function('document.getElementById("sample-image").complete')
    image = page.locator('#sample-image').bounding_box()
    dots = page.eval_on_selector_all(
        '#sample-overlay .prediction circle', '''all => all.map(x => {
          const box = x.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        })''')
    scale = image['width'] / sample['size'][0]
    # pixel centres are at integers, so the edge is at -0.5
    expected = (np.array(sample['prediction']) + .5) * scale
    expected += [image['x'], image['y']]
    np.testing.assert_allclose(dots, expected, atol=1)


def luminance(css):
    return float(
        np.array(re.findall(r'[\d.]+', css)[:3], float) @ (.299, .587, .114))


def test_page_fits_a_phone_in_the_dark(phone, screenshots):
    # not as a whole: Chromium cannot draw a page of 10,000 px at once
    for part in ('figures', 'pck', 'joints', 'groups', 'samples'):
        phone.locator(f'#{part}').screenshot(path=screenshots /
                                             f'report_400_dark_{part}.png')
    assert phone.complaints == [] and phone.requests == []
    assert phone.evaluate('document.documentElement.scrollWidth') <= 400
    colors = phone.evaluate("""() => {
      const page = getComputedStyle(document.body);
      const tick = document.querySelector('#pck-chart .xtick text');
      return [page.backgroundColor, page.color, getComputedStyle(tick).fill];
    }""")
    back, text, tick = map(luminance, colors)
    assert back < 60 and text > 180 and tick > 120


def test_charts_follow_when_the_light_changes(desktop):
    tick = '#pck-chart .xtick text'
    fill = 'node => getComputedStyle(node).fill'
    before = desktop.eval_on_selector(tick, fill)
    desktop.emulate_media(color_scheme='dark')
    desktop.wait_for_function(
        '([tick, before]) => getComputedStyle(document.querySelector(tick))'
        '.fill !== before',
        arg=[tick, before])
    assert luminance(desktop.eval_on_selector(tick, fill)) > luminance(before)
    desktop.emulate_media(color_scheme='light')
