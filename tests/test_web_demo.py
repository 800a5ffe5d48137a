"""The page in the browser, in a real one.

The browser tests need Playwright and Chromium (CHROMIUM=FILE, or on the PATH)
and are skipped without. SCREENSHOTS=DIR keeps their pictures.
"""
import io
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import (BROWSER_TIMEOUT_MS, REPO_ROOT, full_disk, open_chromium,
                     run_script, start_command)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from PIL import Image
from toy_video import squares, write_video

SCRIPT = REPO_ROOT / 'demo/web_demo.py'
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'

pytest.importorskip('gradio', reason='the [web] extra is not installed')
httpx = pytest.importorskip('httpx', reason='the [web] extra is not installed')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


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
    port = free_port()
    folder = tmp_path_factory.mktemp('temporary')
    log = tmp_path_factory.mktemp('log') / 'log'
    url = f'http://127.0.0.1:{port}'
    with open(log, 'wb') as file:
        process = start_command(
            *(sys.executable, SCRIPT, '--config', CONFIG),
            *('--checkpoint', checkpoint, '--port', port),
            *('--server-name', '127.0.0.1', '--allowed-host', 'hands.example'),
            cwd=log.parent,
            output=file,
            TMPDIR=str(folder),
            GRADIO_TEMP_DIR=str(folder))
        try:
            while f'Serving at {url}/' not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(.1)
            assert 'hands.example' in log.read_text()
            yield f'{url}/', folder
            assert visitors_files(folder)
        finally:
            process.send_signal(signal.SIGTERM)
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
def webcam(studiohand_root, tmp_path_factory):
    """A film of a hand, red at the left and blue at the right."""
    picture = cv2.imread(str(studiohand_root / 'evaluation/rgb/00000000.jpg'))
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


def test_what_a_visitor_sets_counts(page, studiohand_root):
    page.get_by_text('Camera and hand').click()
    page.get_by_role('textbox', name='Angle of view degrees').fill('30')
    page.get_by_label('left', exact=True).check()
    give(page, studiohand_root / 'evaluation/rgb/00000000.jpg')
    frame = download(page)
    assert frame['camera']['source'] == 'fov'
    assert frame['camera']['matrix'][0][0] == pytest.approx(
        32 / np.tan(np.pi / 12), abs=1e-3)
    hand, = frame['hands']
    assert (hand['hand_side'], hand['hand_side_source']) == ('left', 'given')


def test_an_image_becomes_a_hand_to_turn_and_a_file(page, studiohand_root):
    give(page, studiohand_root / 'evaluation/rgb/00000000.jpg')
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


def test_a_click_before_the_last_answer_counts(page, studiohand_root):
    give(page, studiohand_root / 'evaluation/rgb/00000000.jpg')
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


def test_a_file_goes_with_its_visitor(page, browser, server, studiohand_root):
    """Each visitor has the file of the last answer alone."""
    url, folder = server

    def files():
        return set(folder.glob('*/files/*/*'))

    wait_until(page, lambda: not files())  # of those who have been here
    images = sorted((studiohand_root / 'evaluation/rgb').iterdir())
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
        frame = dict(hands=[], image_size=[8, 8])
        yield SimpleNamespace(to_dict=lambda: frame)


def test_an_answer_after_its_tab_was_closed_is_not_kept(demo, tmp_path):
    visitor, other = (SimpleNamespace(session_hash=x) for x in 'ab')
    image, tmp_path = str(tmp_path / 'a.png'), tmp_path / 'files'
    tmp_path.mkdir()
    cv2.imwrite(image, np.zeros((8, 8, 3), np.uint8))

    def functions_of(page):
        return {f.fn.__name__: f.fn for f in page.fns.values()}

    def ask(infer, request):
        return infer(image, '', '', None, None, 'auto', request)

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


@pytest.fixture(scope='module')
def local(demo, tmp_path_factory):
    """The page with a network of no hands, and what may hold it up."""
    folder = tmp_path_factory.mktemp('visitors')
    (folder / 'files').mkdir()
    meanwhile = []
    hosts = demo['allowed_hosts']('127.0.0.1', ['hands.example'])
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv('GRADIO_TEMP_DIR', str(folder / 'gradio'))
        page = demo['build_page'](
            Network(lambda: [wait() for wait in meanwhile]), folder / 'files')
        url = demo['launch'](page, '127.0.0.1', free_port(),
                             demo['guards'](hosts, folder))
        with httpx.Client(base_url=url, timeout=60) as client:
            yield SimpleNamespace(
                client=client, folder=folder, meanwhile=meanwhile, page=page)
        page.close()


def upload(client, content, name='a.png'):
    """Path of an uploaded file on the server."""
    answer = client.post(
        '/gradio_api/upload', files=dict(files=(name, content)))
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def fields(path):
    """What a program sends for the fields of the page."""
    meta = {'_type': 'gradio.FileData'}
    return [dict(path=path, meta=meta), '', '', None, None, 'auto']


def ask(client, path):
    """The kind of the answer to an image, and its values."""
    call = client.post(
        '/gradio_api/call/infer', json=dict(data=fields(path))).json()
    answer = client.get(f'/gradio_api/call/infer/{call["event_id"]}').text
    kind, data = answer.strip().splitlines()[-2:]
    return kind[len('event: '):], json.loads(data[len('data: '):])


@pytest.mark.parametrize('host, status', [
    ('127.0.0.1', 200),
    ('localhost:7860', 200),
    ('[::1]:7860', 200),
    ('HANDS.example', 200),
    ('elsewhere.example', 400),
    ('127.0.0.1.elsewhere.example', 400),
    ('', 400),
])
def test_a_host_that_is_not_this_machine_is_refused(local, host, status):
    for path in ('/', '/config'):
        answer = local.client.get(path, headers=dict(host=host))
        assert answer.status_code == status


def test_the_machine_is_known_by_its_own_names(demo):
    hosts = demo['allowed_hosts']
    own = ['localhost', '127.0.0.1', '[::1]']
    assert hosts('127.0.0.1') == hosts('localhost') == hosts('::1') == own
    assert hosts('192.0.2.7', ['a', '2001:db8::7']) == [
        *own, '192.0.2.7', 'a', '[2001:db8::7]']  # yapf: disable
    for everywhere in ('0.0.0.0', '::'):
        assert set(hosts(everywhere)) >= {*own, socket.gethostname()}
        assert everywhere not in hosts(everywhere) and '*' not in hosts(
            everywhere)


def form(*megabytes):
    """A form with files of so many MiB, in pieces and of unknown length."""
    for count in megabytes:
        yield (b'--b\r\nContent-Disposition: form-data; name="files"; '
               b'filename="a.png"\r\n\r\n')
        yield from count * [bytes(2**20)]
        yield b'\r\n'
    yield b'--b--\r\n'


@pytest.mark.parametrize('content, status', [
    (b''.join(form(26)), 413),
    (form(26), 400),
    (form(9, 9, 9), 400),
], ids=['known length', 'one file', 'many files'])  # yapf: disable
def test_an_upload_that_is_too_long_is_refused(local, content, status):
    answer = local.client.post(
        '/gradio_api/upload',
        content=content,
        headers={'content-type': 'multipart/form-data; boundary=b'})
    assert answer.status_code == status
    assert 'may have 26279936 bytes' in answer.text
    assert not large_files(local.folder)
    answer = local.client.post(
        '/gradio_api/upload',
        content=form(24),
        headers={'content-type': 'multipart/form-data; boundary=b'})
    assert answer.status_code == 200
    for file in large_files(local.folder):
        file.unlink()


def large_files(folder):
    return [p for p in visitors_files(folder) if p.stat().st_size > 2**20]


def test_nothing_else_may_be_too_long(local):
    answer = local.client.post(
        '/gradio_api/queue/join', json=dict(data=26 * 2**20 * 'x'))
    assert answer.status_code == 413


def test_a_full_store_takes_no_more(demo, tmp_path):
    from starlette.responses import PlainTextResponse
    from starlette.testclient import TestClient
    client = TestClient(demo['UploadLimit'](
        PlainTextResponse('taken'), tmp_path, stored=1000))
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'deep/a').write_bytes(bytes(1000))
    assert client.post('/', content=b'x').text == 'taken'
    (tmp_path / 'b').write_bytes(b'x')
    answer = client.post('/', content=b'x')
    assert answer.status_code == 507 and 'try again' in answer.text
    assert client.get('/').text == 'taken'


def png(width, height):
    """An image of one bit a pixel; a thousandth of its size when decoded."""
    file = io.BytesIO()
    Image.new('1', (width, height)).save(file, 'png')
    return file.getvalue()


def test_an_image_is_answered_and_a_bomb_is_not_decoded(local):
    assert local.page.max_file_size == 25 * 2**20
    kind, answer = ask(local.client, upload(local.client, png(64, 48)))
    assert kind == 'complete' and answer[0]['path'].endswith('.jpeg')
    bomb = png(13000, 13000)
    assert len(bomb) < 30_000
    local.meanwhile.append(lambda: pytest.fail('it was decoded'))
    try:
        kind, answer = ask(local.client, upload(local.client, bomb))
    finally:
        local.meanwhile.clear()
    assert kind == 'complete' and answer[0] is None


def test_an_address_is_not_fetched(local):
    with socket.create_server(('127.0.0.1', 0)) as other:
        other.settimeout(0)
        port = other.getsockname()[1]
        kind, answer = ask(local.client, f'http://127.0.0.1:{port}/a.png')
        with pytest.raises(BlockingIOError):
            other.accept()
    assert kind == 'error' and 'not its address' in answer['error']


def test_an_answer_that_cannot_be_stored_leaves_nothing(local):
    path = upload(local.client, png(8, 8))
    before = visitors_files(local.folder / 'files')
    with full_disk(20):
        kind, answer = ask(local.client, path)
    assert kind == 'complete' and answer[0] is None
    assert visitors_files(local.folder / 'files') == before
    assert ask(local.client, path)[1][0] is not None


def test_there_is_no_way_round_the_queue_and_it_has_an_end(local):
    answer = local.client.post('/gradio_api/run/infer', json=dict(data=[]))
    assert answer.status_code == 404 and 'join the queue' in answer.text
    data = fields(upload(local.client, png(8, 8)))
    fn_index, = (i for i, f in local.page.fns.items()
                 if f.fn.__name__ == 'infer')
    go_on, at_work, most_at_work = threading.Event(), [], [0]

    def wait():
        at_work.append(1)
        most_at_work.append(len(at_work))
        go_on.wait(60)
        at_work.pop()

    local.meanwhile.append(wait)
    try:
        status = [
            local.client.post(
                '/gradio_api/queue/join',
                json=dict(data=data, fn_index=fn_index,
                          session_hash=str(i))).status_code for i in range(40)
        ]
        assert status[:32] == 32 * [200] and status[-1] == 503
        go_on.set()
        deadline = time.monotonic() + 60
        while len(most_at_work) < 32:
            assert time.monotonic() < deadline
            time.sleep(.05)
        # each in its turn, and then there is room again
        assert max(most_at_work) == 1
        assert ask(local.client, data[0]['path'])[0] == 'complete'
    finally:
        go_on.set()
        local.meanwhile.clear()


@pytest.fixture
def picture(tmp_path):
    """A file with any content."""

    def write(content):
        path = tmp_path / 'secret place' / 'a.png'
        path.parent.mkdir()
        path.write_bytes(content)
        return str(path)

    return write


def jpeg(scans=1, **options):
    file = io.BytesIO()
    Image.new('RGB', (64, 48), (200, 0, 0)).save(file, 'jpeg', **options)
    content = file.getvalue()
    # as if it came in so many steps
    return content[:-2] + (scans - 1) * b'\xff\xda\0\x02' + content[-2:]


def turned():
    exif = Image.Exif()
    exif[274] = 6  # orientation: a quarter to the right
    return jpeg(exif=exif)


@pytest.mark.parametrize('content, shape', [
    (png(64, 48), (48, 64, 3)),
    (jpeg(progressive=True), (48, 64, 3)),
    (turned(), (64, 48, 3)),
])
def test_an_image_is_read_as_it_is_seen(demo, picture, content, shape):
    image = demo['read_image'](picture(content))
    assert image.shape == shape and image.dtype == np.uint8
    if content[:2] == b'\xff\xd8':  # BGR
        assert image[0, 0, 2] > 150 > 50 > image[0, 0, 0]


@pytest.mark.parametrize('kind', ['bmp', 'gif', 'ppm', 'tif', 'webp'])
def test_each_format_is_read(demo, tmp_path, kind):
    path = tmp_path / f'a.{kind}'
    Image.new('RGB', (64, 48), (200, 0, 0)).save(path)
    image = demo['read_image'](str(path))
    assert image.shape == (48, 64, 3)
    assert (np.abs(image[20, 20].astype(int) - (0, 0, 200)) < 10).all()


@pytest.mark.parametrize('content, message', [
    (png(8000, 7000), '8000 x 7000 px, of which 50 megapixels'),
    (png(40000, 100), '40000 x 100 px: at most 32,766 px a side'),
    (png(20000, 20000), 'too large'),
    (jpeg(scans=51), 'too many steps'),
    (b'no image', 'The image cannot be read: it is damaged, or of a format'),
    (b'', 'the file is empty'),
    (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n',
     'format that is not'),
    (png(64, 48)[:60], 'cannot be read: the file is truncated'),
])
def test_what_is_no_image_or_too_large_is_named(demo, picture, content,
                                                message):
    with pytest.raises(ValueError, match=message) as error:
        demo['read_image'](picture(content))
    assert 'secret place' not in str(error.value)


def test_a_film_is_no_image(demo, picture, tmp_path):
    film = write_video(tmp_path / 'a.mp4', squares([[(10, 8)]] * 3))
    with pytest.raises(ValueError, match='it is a film, no image'):
        demo['read_image'](picture(Path(film).read_bytes()))


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
