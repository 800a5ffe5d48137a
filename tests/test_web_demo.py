"""The page in the browser, in a real one.

The browser tests need Playwright and Chromium (CHROMIUM=FILE, or on the PATH)
and are skipped without. SCREENSHOTS=DIR keeps their pictures.
"""
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import BROWSER_TIMEOUT_MS, REPO_ROOT, open_chromium, run_script
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

SCRIPT = REPO_ROOT / 'demo/web_demo.py'
CONFIG = REPO_ROOT / 'configs/lgh_synthhand.py'

pytest.importorskip('gradio', reason='the [web] extra is not installed')


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
def server(checkpoint, tmp_path_factory):
    """Address of the page, served by the command, and its temporary folder."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp('temporary')
    log = tmp_path_factory.mktemp('log') / 'log'
    environ = {**os.environ, 'OMP_NUM_THREADS': '1', 'TMPDIR': str(folder)}
    environ.pop('GRADIO_TEMP_DIR', None)
    with open(log, 'wb') as file:
        process = subprocess.Popen([
            *(sys.executable, SCRIPT, '--config', CONFIG),
            *('--checkpoint', checkpoint, '--port', str(port))
        ],
                                   cwd=log.parent,
                                   env=environ,
                                   stdout=subprocess.PIPE,
                                   stderr=file,
                                   text=True)
        try:
            first = process.stdout.readline()
            assert f'Serving at http://127.0.0.1:{port}' in first, \
                first + log.read_text()
            yield first.split()[2], folder
            assert visitors_files(folder)
        finally:
            process.terminate()
            process.wait()
    # and nothing of any visitor is left
    assert not visitors_files(folder)


@pytest.fixture
def url(server):
    return server[0]


def visitors_files(folder):
    """Files of images and joints, as uploaded or made."""
    return [p for p in folder.rglob('*') if p.is_file()]


@pytest.fixture(scope='module')
def webcam(synthhand_root, tmp_path_factory):
    """A film of a hand, red at the left and blue at the right."""
    picture = cv2.imread(str(synthhand_root / 'evaluation/rgb/00000000.jpg'))
    picture = cv2.resize(picture, (320, 240))
    picture[:, :32], picture[:, -32:] = (0, 0, 255), (255, 0, 0)
    path = tmp_path_factory.mktemp('webcam') / 'hand.mjpeg'
    path.write_bytes(4 * cv2.imencode('.jpg', picture)[1].tobytes())
    return path


@pytest.fixture(scope='module')
def browser(webcam):
    with open_chromium('--use-fake-device-for-media-stream',
                       '--use-fake-ui-for-media-stream',
                       f'--use-file-for-fake-video-capture={webcam}') as it:
        yield it


def open_page(browser, url):
    """The page in Chromium, cut off from all other machines."""
    page = browser.new_page(viewport=dict(width=1200, height=1000))
    page.set_default_timeout(BROWSER_TIMEOUT_MS)
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
    return page


@pytest.fixture
def page(browser, url):
    page = open_page(browser, url)
    yield page
    page.close()


def give(page, image):
    """Give the page an image file, and wait for the answer."""
    page.locator('#image input[type=file]').set_input_files(image)
    page.wait_for_selector('#overlay img')


def download(page):
    """What *Download JSON* gives."""
    with page.expect_download() as download:
        page.click('#download')
    assert download.value.suggested_filename == 'hands.json'
    return json.loads(Path(download.value.path()).read_text())


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


def test_an_image_becomes_a_hand_to_turn_and_a_file(page, synthhand_root):
    give(page, synthhand_root / 'evaluation/rgb/00000000.jpg')
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

    frame = download(page)
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


def test_a_picture_of_the_webcam_becomes_a_hand(page):
    page.click('#image button[aria-label="Capture from camera"]')
    page.click('#image button:has-text("Click to Access Webcam")')
    page.click('#image button[aria-label="capture photo"]')
    page.wait_for_selector('#overlay img')
    page.wait_for_selector('#plot .gl-container canvas', state='attached')
    frame = download(page)
    assert frame['image_size'] == [320, 240]
    assert np.shape(frame['hands'][0]['keypoints_cam']) == (21, 3)
    # mirrored, a right hand would be a left one
    left, right = page.evaluate("""() => {
      const image = document.querySelector('#overlay img');
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [320, 240];
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0, 320, 240);
      return [8, 312].map(x => [...context.getImageData(x, 200, 1, 1).data]);
    }""")
    assert left[0] > 200 > 100 > left[2] and right[2] > 200 > 100 > right[0]
    save_screenshot(page, 'web_demo_webcam.png')
    assert page.outside == [] and page.errors == []


def test_a_click_before_the_last_answer_counts(page, synthhand_root):
    give(page, synthhand_root / 'evaluation/rgb/00000000.jpg')
    held = []
    page.route('**/queue/join*', lambda route: held.append(route))
    with page.expect_request('**/queue/join*'):
        page.click('#run')
    page.locator('#box textarea, #box input').first.fill('a mistake')
    page.click('#run')
    page.unroute('**/queue/join*')
    held[0].continue_()
    page.wait_for_selector('text=4 numbers are needed')


def wait_until(page, condition):
    """Wait until the server has noticed."""
    deadline = time.monotonic() + BROWSER_TIMEOUT_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        # not time.sleep: the page's requests wait for route() of open_page
        page.wait_for_timeout(50)


def test_a_file_goes_with_its_visitor(page, browser, server, synthhand_root):
    """Each visitor has the file of the last answer alone."""
    url, folder = server

    def files():
        return set(folder.glob('*/files/*/*'))

    wait_until(page, lambda: not files())  # of those who have been here
    images = sorted((synthhand_root / 'evaluation/rgb').iterdir())
    give(page, images[0])
    first, own = files(), download(page)
    assert len(first) == 1
    page.click('#run')
    wait_until(page, lambda: files() - first)
    second = files()
    assert len(second) == 1

    visitor = open_page(browser, url)
    give(visitor, images[1])
    assert second < files() and len(files()) == 2
    assert download(visitor)['hands'] != own['hands']
    visitor.close()
    wait_until(page, lambda: files() == second)
    assert download(page)['hands'] == own['hands']


# -- without a browser -------------------------------------------------------


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


class Network:
    """Finds no hand, while something else happens."""
    detector = None

    def __init__(self, meanwhile):
        self.meanwhile = meanwhile

    def __call__(self, image, **kwargs):
        self.meanwhile()
        yield dict(hands=[], image_size=[8, 8])


def test_an_answer_after_its_tab_was_closed_is_not_kept(demo, tmp_path):
    visitor, other = (SimpleNamespace(session_hash=x) for x in 'ab')

    def functions_of(page):
        return {f.fn.__name__: f.fn for f in page.fns.values()}

    def ask(infer, request):
        return infer(
            np.zeros((8, 8, 3), np.uint8), '', '', None, None, 'auto', request)

    functions = functions_of(demo['build_page'](Network(lambda: None),
                                                tmp_path))
    ask(functions['infer'], visitor)
    assert len(visitors_files(tmp_path)) == 1
    functions['forget'](visitor)
    assert not visitors_files(tmp_path)

    functions = functions_of(demo['build_page'](
        Network(lambda: functions['forget'](visitor)), tmp_path))
    answer = ask(functions['infer'], visitor)
    assert answer[0] is None and not list(tmp_path.iterdir())
    ask(functions['infer'], other)
    assert len(visitors_files(tmp_path)) == 1


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
        root_depth_status='AMBIGUOUS',
        scores=[.5, 1])
    facts = demo['describe'](hand, dict(source='assumed'))
    assert 'left hand, estimated' in facts and 'camera: assumed' in facts
    assert '44.6 mm, average' in facts and '412 mm from the camera\n' in facts
    hand.update(root_depth_status='FORESHORTENED')
    facts = demo['describe'](hand, dict(source='assumed'))
    assert 'from the camera, estimated by weak perspective (foresh' in facts
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
