"""A page in the browser to try a network on one's own images.

Example::

    python demo/web_demo.py --config configs/lgh_synthhand.py \
        --checkpoint work_dirs/demo/train/epoch_12.pth

It serves this machine alone unless ``--server-name`` says otherwise, and
neither the server nor the page asks anything of other machines.
"""
import argparse
import copy
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple

import numpy as np

from lgh_mmpose.apis import HandInferencer, draw_hands
from lgh_mmpose.camera import SOLVED_STATUSES
from lgh_mmpose.visualization.plotly_hand import hand_figure

FONTS = dict(
    font=('system-ui', 'sans-serif'), font_mono=('ui-monospace', 'monospace'))
# Gradio's own orange and grey are too light on white to be read by all
CONTRAST = dict(
    button_primary_background_fill='*primary_700',
    button_primary_background_fill_dark='*primary_700',
    button_primary_background_fill_hover='*primary_800',
    button_primary_background_fill_hover_dark='*primary_800',
    body_text_color_subdued='*neutral_500',
    block_info_text_color='*neutral_500',
    block_info_text_color_dark='*neutral_400')
INTRODUCTION = """# Hands in 3D
An image, from a file, the clipboard or the webcam; then turn the hand with the
mouse. The image stays on the machine that runs this page."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='A page in the browser to try a network')
    parser.add_argument(
        '--config', required=True, help='config of the network')
    parser.add_argument(
        '--checkpoint', required=True, help='weights of the network')
    parser.add_argument(
        '--detector',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='detector of mmdet that finds the hands (default: the whole '
        'image is one hand)')
    parser.add_argument(
        '--device', default='cpu', help='device (default: %(default)s)')
    parser.add_argument(
        '--port', type=int, default=7860, help='port (default: %(default)s)')
    parser.add_argument(
        '--server-name',
        default='127.0.0.1',
        metavar='ADDRESS',
        help='address to serve at; 0.0.0.0 serves the network too (default: '
        '%(default)s, this machine alone)')
    return parser.parse_args()


def import_gradio():
    """The module ``gradio``, which then reports no usage to anyone.

    Raises:
        ImportError: If Gradio is not installed, with the extra to install.
    """
    # read by Gradio when it is imported
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    try:
        import gradio
    except ImportError:
        raise ImportError('the page is made by Gradio: '
                          "pip install 'lgh_mmpose[web]'") from None
    return gradio


def parse_numbers(text: Optional[str], names: str) -> Optional[List[float]]:
    """Numbers from a field of the page.

    Args:
        text (str, optional): Numbers with white space or commas between.
        names (str): What they are, one word each, for the error.

    Returns:
        list[float] | None: One number for each name; None for an empty field.

    Raises:
        ValueError: If they are not as many numbers as names.
    """
    words = (text or '').replace(',', ' ').split()
    if not words:
        return None
    expected = names.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != len(expected) or not np.isfinite(numbers).all():
        raise ValueError(f'{len(expected)} numbers are needed, {names}; got '
                         f'{text.strip()!r}')
    return numbers


def describe(hand: dict, camera: dict) -> str:
    """What a person should know of a hand, as Markdown.

    Args:
        hand (dict): One of the ``hands`` of :class:`HandInferencer`.
        camera (dict): The ``camera`` of its frame.

    Returns:
        str: A list of facts, each with where it comes from.
    """
    root = hand['keypoints_cam'][hand['joint_names'].index(hand['root_joint'])]
    bone = hand['bone_length']
    status = hand['root_depth_status']
    estimated = '' if status in SOLVED_STATUSES else (
        f', estimated by weak perspective ({status.lower()})')
    lines = [
        f'{hand["hand_side"]} hand, {hand["hand_side_source"]}',
        f'camera: {camera["source"]}',
        f'length of the bone {" – ".join(hand["reference_bone"])}: ' +
        ('unknown'
         if bone['mm'] is None else f'{bone["mm"]:.1f} mm, {bone["source"]}'),
        f'joints in {hand["units"]}, ' +
        (f'{root[2]:.0f} {hand["units"]} from the camera{estimated}' if
         hand['frame'] == 'camera' else f'relative to {hand["root_joint"]}'),
        f'mean score {np.mean(hand["scores"]):.2f}',
    ]
    return '\n'.join(f'- {line}' for line in lines)


def build_page(inferencer: HandInferencer, folder: Path):
    """The page.

    Args:
        inferencer (HandInferencer): What answers.
        folder (Path): Existing folder for the files to be downloaded. Each
            session has that of its last answer there until it ends.

    Returns:
        gradio.Blocks: To be launched.

    Raises:
        ImportError: If Gradio is not installed.
    """
    gr = import_gradio()
    # or Gradio serves a copy, which stays longer than the session
    gr.set_static_paths([folder])
    sessions: Set[str] = set()  # open ones that have asked
    results: Dict[str, Path] = {}

    def remove_result(session: str) -> None:
        former = results.pop(session, None)
        if former is not None:
            shutil.rmtree(former)

    def forget(request: gr.Request) -> None:
        """Remove the file of a session that ends."""
        sessions.discard(request.session_hash)
        remove_result(request.session_hash)

    def infer(image: Optional[np.ndarray], box: str, camera: str,
              fov: Optional[float], bone_length: Optional[float], side: str,
              request: gr.Request) -> Tuple:
        # never the results of another image beside this one
        nothing = (None, None, gr.Radio(visible=False),
                   gr.DownloadButton(value=None,
                                     interactive=False), None, None)
        if image is None:
            return nothing
        session = request.session_hash
        sessions.add(session)
        try:
            box = parse_numbers(box, 'left top right bottom')
            camera = parse_numbers(camera, 'fx fy cx cy')
            if camera is not None:
                fx, fy, cx, cy = camera
                camera = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
            # the same network with this visitor's settings
            own = copy.copy(inferencer)
            own.fov, own.hand_side = fov, side
            frame = next(
                own(np.ascontiguousarray(image[..., ::-1]),
                    bboxes=box,
                    camera_matrix=camera,
                    bone_length=bone_length))
        except ValueError as error:
            gr.Warning(str(error))
            return nothing
        if not frame['hands']:
            gr.Info('No hand was found: give its box.')
        overlay = draw_hands(image[..., ::-1], frame)[..., ::-1]
        remove_result(session)
        # a new name each time: browsers and visitors cannot take another's
        own_folder = Path(tempfile.mkdtemp(dir=folder))
        path = own_folder / 'hands.json'
        path.write_text(json.dumps(frame, indent=1, allow_nan=False))
        results[session] = own_folder
        if session not in sessions:  # its tab was closed meanwhile
            remove_result(session)
            return nothing
        names = [
            f'{i + 1}: {hand["hand_side"]}'
            for i, hand in enumerate(frame['hands'])
        ]
        choice = gr.Radio(
            names, value=names[0] if names else None, visible=len(names) > 1)
        return (overlay, frame, choice,
                gr.DownloadButton(value=path, interactive=True),
                *show_hand(frame, names[0] if names else None))

    def show_hand(frame: Optional[dict], name: Optional[str]) -> Tuple:
        if frame is None or name is None:
            return None, None
        hand = frame['hands'][int(name.split(':')[0]) - 1]
        figure = hand_figure(
            np.array(hand['keypoints_cam']),
            joint_names=hand['joint_names'],
            units=hand['units'])
        # the eye stays where it was; a grey that both themes show
        figure.update_layout(
            height=460, uirevision='hand', font=dict(color='#7d858d'))
        return figure, describe(hand, frame['camera'])

    with gr.Blocks(
            title='lgh_mmpose', analytics_enabled=False,
            delete_cache=(3600, 3600)) as page:
        gr.Markdown(INTRODUCTION)
        frame = gr.State()
        with gr.Row():
            with gr.Column():
                image = gr.Image(
                    label='Image',
                    sources=['upload', 'webcam', 'clipboard'],
                    # or a right hand arrives as a left one
                    webcam_options=gr.WebcamOptions(mirror=False),
                    alt_text='The image',
                    elem_id='image')
                box = gr.Textbox(
                    label='Box of the hand',
                    info='left top right bottom, pixels; empty: ' +
                    ('the detector looks for hands'
                     if inferencer.detector else 'the whole image'),
                    elem_id='box')
                with gr.Accordion('Camera and hand', open=False):
                    camera = gr.Textbox(
                        label='Camera',
                        info='fx fy cx cy, pixels of the image; empty: from '
                        'the angle of view')
                    fov = gr.Number(
                        label='Angle of view',
                        info='degrees, across the longer side; empty: '
                        'assumed; not used if the camera is given',
                        value=None,
                        minimum=1,
                        maximum=135)
                    bone_length = gr.Number(
                        label='Bone',
                        info="length from the middle finger's knuckle to its "
                        'next joint, mm; empty: an average',
                        value=None)
                    side = gr.Radio(['auto', 'left', 'right'],
                                    value='auto',
                                    label='Side')
                run = gr.Button('Estimate', variant='primary', elem_id='run')
            with gr.Column():
                overlay = gr.Image(
                    label='Joints in the image',
                    # it would cover what is written in the picture
                    show_label=False,
                    interactive=False,
                    alt_text='The image with the joints drawn in it',
                    buttons=['download', 'fullscreen'],
                    elem_id='overlay')
                choice = gr.Radio(label='Hand', visible=False)
                plot = gr.Plot(label='Joints in 3D', elem_id='plot')
                facts = gr.Markdown(elem_id='facts')
                download = gr.DownloadButton(
                    'Download JSON', interactive=False, elem_id='download')
        gr.on(
            [image.input, run.click],
            infer,
            [image, box, camera, fov, bone_length, side],
            [overlay, frame, choice, download, plot, facts],
            # by default a click before the end of the last one is dropped
            trigger_mode='always_last',
            api_name='infer')
        choice.input(show_hand, [frame, choice], [plot, facts], api_name=False)
        page.unload(forget)
    return page


def serve(args: argparse.Namespace) -> None:
    """Serve the page until it is stopped."""
    detector, detector_checkpoint = args.detector or (None, None)
    inferencer = HandInferencer(
        args.config,
        args.checkpoint,
        device=args.device,
        detector=detector,
        detector_checkpoint=detector_checkpoint)
    # stopped by a service manager as by Ctrl+C, so that the folder goes
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parent = os.environ.get('GRADIO_TEMP_DIR')
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        # all that Gradio writes of the visitors: their images, the overlays
        os.environ['GRADIO_TEMP_DIR'] = str(Path(folder) / 'gradio')
        files = Path(folder) / 'files'
        files.mkdir()
        page = build_page(inferencer, files)
        _, url, _ = page.launch(
            server_name=args.server_name,
            server_port=args.port,
            share=False,
            quiet=True,  # or it recommends to share
            prevent_thread_lock=True,
            theme=import_gradio().themes.Default(**FONTS).set(**CONTRAST),
            footer_links=[])
        print(f'Serving at {url} (stop with Ctrl+C)', flush=True)
        page.block_thread()


def main() -> None:
    args = parse_args()
    try:
        serve(args)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
