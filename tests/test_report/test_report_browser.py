"""The report in a browser.

The tests need Playwright and Chromium (CHROMIUM=FILE, or on the PATH) and are
skipped without. SCREENSHOTS=DIR keeps their pictures.
"""
import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import BROWSER_TIMEOUT_MS, open_chromium
from report_pages import page_data


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
