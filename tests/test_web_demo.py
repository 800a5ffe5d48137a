"""The page in the browser, in a real one."""
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_script
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

SCRIPT = REPO_ROOT / 'demo/web_demo.py'
CONFIG = REPO_ROOT / 'configs/lgh_synthhand.py'

pytest.importorskip('gradio', reason='the [web] extra is not installed')
CHROMIUM = next(
    filter(
        None,
        map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
    None)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Untrained weights."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIG).model)
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.fixture(scope='module')
def url(checkpoint, tmp_path_factory):
    """Address of the page, served by the command."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp('log') / 'log'
    with open(log, 'wb') as file:
        process = subprocess.Popen([
            *(sys.executable, SCRIPT, '--config', CONFIG),
            *('--checkpoint', checkpoint, '--port', str(port))
        ],
                                   cwd=log.parent,
                                   env={
                                       **os.environ, 'OMP_NUM_THREADS': '1'
                                   },
                                   stdout=subprocess.PIPE,
                                   stderr=file,
                                   text=True)
        try:
            first = process.stdout.readline()
            assert f'Serving at http://127.0.0.1:{port}' in first, \
                first + log.read_text()
            yield first.split()[2]
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def browser_page(url):
    """The page in Chromium, cut off from all other machines."""
    if CHROMIUM is None:
        pytest.skip('no Chromium is installed')
    sync_api = pytest.importorskip(
        'playwright.sync_api', reason='Playwright is not installed')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                '--no-sandbox', '--disable-gpu', '--enable-unsafe-swiftshader',
                '--disable-quic', '--disable-background-networking',
                '--disable-component-update', '--disable-sync'
            ])
        page = browser.new_page(viewport=dict(width=1200, height=1000))
        page.set_default_timeout(120_000)
        page.outside, page.errors = [], []

        def route(request):
            if request.request.url.startswith((url, 'data:', 'blob:')):
                request.continue_()
            else:
                page.outside.append(request.request.url)
                request.abort()

        page.route('**/*', route)
        page.on(
            'console', lambda message: page.errors.append(message.text)
            if message.type == 'error' else None)
        page.on('pageerror', lambda error: page.errors.append(str(error)))
        page.goto(url)
        yield page
        browser.close()


def save_screenshot(page, name):
    """For a person to look at: in the folder that SCREENSHOTS names."""
    if os.environ.get('SCREENSHOTS'):
        page.screenshot(
            path=Path(os.environ['SCREENSHOTS']) / name, full_page=True)


def eye(page):
    """Where the 3D view is seen from."""
    return np.array(
        page.evaluate('''() => {
            const plot = document.querySelector('#plot .js-plotly-plot');
            const eye = plot._fullLayout.scene._scene.getCamera().eye;
            return [eye.x, eye.y, eye.z];
        }'''))


def test_an_image_becomes_a_hand_to_turn_and_a_file(browser_page,
                                                    synthhand_root):
    page = browser_page
    image = synthhand_root / 'evaluation/rgb/00000000.jpg'
    page.locator('#image input[type=file]').set_input_files(image)
    page.wait_for_selector('#overlay img')
    assert '44.6 mm, average' in page.inner_text('#facts')

    page.wait_for_selector('#plot .gl-container canvas', state='attached')
    page.locator('#plot').scroll_into_view_if_needed()
    before = eye(page)
    box = page.locator('#plot .js-plotly-plot').bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 30, steps=5)
    page.mouse.up()
    assert np.linalg.norm(eye(page) - before) > .3
    save_screenshot(page, 'web_demo.png')

    with page.expect_download() as download:
        page.click('#download')
    assert download.value.suggested_filename == 'hands.json'
    frame = json.loads(Path(download.value.path()).read_text())
    assert frame['schema'] == 'lgh_mmpose/hands/1'
    assert frame['image_size'] == [64, 64]
    assert np.shape(frame['hands'][0]['keypoints_cam']) == (21, 3)

    # a mistake is explained, and nothing of before stands beside it
    field = page.locator('#box textarea, #box input').first
    field.fill('0 0 sixty 64')
    page.click('#run')
    page.wait_for_selector('text=4 numbers are needed')
    page.wait_for_selector('#overlay img', state='detached')
    assert not any('average' in text
                   for text in page.locator('#facts').all_inner_texts())
    save_screenshot(page, 'web_demo_mistake.png')
    field.fill('8, 8, 56, 56')
    page.click('#run')
    page.wait_for_selector('#overlay img')
    page.set_viewport_size(dict(width=400, height=900))
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    save_screenshot(page, 'web_demo_400.png')
    assert page.outside == []
    assert page.errors == []


# -- without a browser -------------------------------------------------------


def test_the_webcam_does_not_mirror_hands(url):
    with urllib.request.urlopen(url.rstrip('/') + '/config') as answer:
        components = json.load(answer)['components']
    image, = [
        component['props'] for component in components
        if component['props'].get('elem_id') == 'image'
    ]
    assert 'webcam' in image['sources']
    assert image['webcam_options']['mirror'] is False


@pytest.fixture(scope='module')
def demo():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize('text, numbers', [
    ('', None),
    (None, None),
    ('1 2 3.5 4', [1, 2, 3.5, 4]),
    (' 1, 2,3\n4 ', [1, 2, 3, 4]),
])
def test_numbers_are_read(demo, text, numbers):
    assert demo['parse_numbers'](text, 'fx fy cx cy') == numbers


@pytest.mark.parametrize('text',
                         ['1 2 3', '1 2 3 4 5', 'a b c d', '1 2 3 nan'])
def test_wrong_numbers_are_refused(demo, text):
    with pytest.raises(ValueError, match='4 numbers are needed, fx fy cx cy'):
        demo['parse_numbers'](text, 'fx fy cx cy')


def test_facts_say_what_was_assumed(demo):
    hand = dict(
        hand_side='left',
        hand_side_source='estimated',
        joint_names=['wrist', 'middle_finger1'],
        root_joint='middle_finger1',
        reference_bone=['middle_finger1', 'middle_finger2'],
        keypoints_cam=[[0, 0, 300], [0, 0, 412]],
        units='mm',
        frame='camera',
        bone_length=dict(mm=44.6, source='average'),
        scores=[.5, 1])
    facts = demo['describe'](hand, dict(source='assumed'))
    assert 'left hand, estimated' in facts and 'camera: assumed' in facts
    assert '44.6 mm, average' in facts and '412 mm from the camera' in facts
    hand.update(
        units='reference bones',
        frame='root',
        bone_length=dict(mm=None, source='none'))
    facts = demo['describe'](hand, dict(source='assumed'))
    assert 'relative to middle_finger1' in facts and 'unknown' in facts


def test_missing_weights_are_named(tmp_path):
    result = run_script(
        SCRIPT,
        *('--config', CONFIG, '--checkpoint', 'nothing.pth'),
        cwd=tmp_path,
        check=False)
    assert result.returncode == 'error: checkpoint not found: nothing.pth'


def test_a_wrong_config_is_named(checkpoint, tmp_path):
    (tmp_path / 'own.py').write_text('model = dict(\n')
    result = run_script(
        SCRIPT,
        *('--config', 'own.py', '--checkpoint', checkpoint),
        cwd=tmp_path,
        check=False)
    error = str(result.returncode)
    assert error.startswith('error: cannot read the config own.py')
    assert len(error.splitlines()) == 1
