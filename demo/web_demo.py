"""A page in the browser to try a network on one's own images.

Examples::

    python demo/web_demo.py
    python demo/web_demo.py --config configs/lgh_studiohand.py \
        --checkpoint work_dirs/demo/train/epoch_12.pth

It serves this machine alone unless ``--server-name`` says otherwise, and
neither the server nor the page asks anything of other machines.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

import numpy as np

from lgh_mmpose import HandPose
from lgh_mmpose.geometry.camera import SOLVED_STATUSES
from lgh_mmpose.inference import arguments
from lgh_mmpose.inference.drawing import draw_hands
from lgh_mmpose.inference.images import (ImageError, decode_image, image_size,
                                         read_bytes)
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
MAX_MEGABYTES = 25  # of an image file
MAX_STORED_MEGABYTES = 2048  # of all visitors together
MAX_MEGAPIXELS = 50  # of a phone's camera; it takes 5 s and 1 GB
# of a JPEG; programs write 10 to 20, and each costs as much as an image
_MAX_SCANS = 50
# images that wait; each has been uploaded
_MAX_QUEUE = 32
INTRODUCTION = """# Hands in 3D
An image, from a file, the clipboard or the webcam; then turn the hand with the
mouse. The image stays on the machine that runs this page."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='A page in the browser to try a network')
    arguments.add_network(parser)
    arguments.add_detector(parser)
    parser.add_argument(
        '--port', type=int, default=7860, help='port (default: %(default)s)')
    parser.add_argument(
        '--server-name',
        default='127.0.0.1',
        metavar='ADDRESS',
        help='address to serve at; 0.0.0.0 serves the network too (default: '
        '%(default)s, this machine alone)')
    parser.add_argument(
        '--allowed-host',
        nargs='+',
        default=(),
        metavar='NAME',
        help='name or address by which visitors call this machine, in '
        'addition to its own; requests to others are refused')
    args = parser.parse_args()
    arguments.check(parser, args)
    return args


def import_gradio():
    """The module ``gradio``, which then reports no usage to anyone.

    Raises:
        ImportError: If Gradio is not installed, with the extra to install.
    """
    # read by Gradio when it is imported
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    # its other processes would take requests before the guards
    os.environ['GRADIO_NUM_WORKERS'] = '0'
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
        needed = 'one number is' if len(expected) == 1 else \
            f'{len(expected)} numbers are'
        raise ValueError(f'{needed} needed, {names}; got {text.strip()!r}')
    return numbers


def read_image(path: str) -> np.ndarray:
    """Read a visitor's image, once its header has been looked at.

    Args:
        path (str): Any file.

    Returns:
        np.ndarray: The image, BGR, uint8 (H, W, 3).

    Raises:
        ValueError: If it is no image, damaged, or too large; without the
            path, which is no visitor's business.
    """
    try:
        content = read_bytes(path)
        width, height = image_size(content)
        if width * height > MAX_MEGAPIXELS * 10**6:
            raise ImageError(f'it has {width} x {height} px, of which '
                             f'{MAX_MEGAPIXELS} megapixels are taken; make '
                             'it smaller')
        # in the data of a JPEG these bytes can be nothing else
        if content.startswith(b'\xff\xd8') and \
                content.count(b'\xff\xda') > _MAX_SCANS:
            raise ImageError('it is stored in too many steps; store it anew')
        return decode_image(content)
    except ImageError as error:
        raise ValueError(f'The image cannot be read: {error}.') from error


def describe(hand: dict, camera: dict) -> str:
    """What a person should know of a hand, as Markdown.

    Args:
        hand (dict): One of the ``hands`` of a frame, see
            :meth:`Hands.to_dict <lgh_mmpose.inference.results.Hands.to_dict>`.
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
        f'{hand["hand_side"] or "left or right"} hand, '
        f'{hand["hand_side_source"]}',
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


def give_path(image: Any) -> None:
    """Let an input for images give the path of what a visitor has sent.

    Gradio would decode it, however large, and fetch an image from the address
    that a program sends in its place.

    Args:
        image (gradio.Image): The input, changed in place.
    """
    gr = import_gradio()
    move = image.async_move_resource_to_block_cache

    async def move_files_only(path: Any) -> Optional[str]:
        if '://' in str(path):
            raise gr.Error(
                'Send the image itself, not its address.',
                print_exception=False)
        return await move(path)

    image.async_move_resource_to_block_cache = move_files_only
    image.preprocess = lambda sent: None if sent is None else sent.path


def build_page(hand_pose: HandPose, folder: Path):
    """The page.

    Args:
        hand_pose (HandPose): What answers.
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

    def infer(path: Optional[str], box: str, camera: str, fov: str,
              bone_length: str, side: str, request: gr.Request) -> Tuple:
        # never the results of another image beside this one
        nothing = (None, None, gr.Radio(visible=False),
                   gr.DownloadButton(value=None,
                                     interactive=False), None, None)
        if path is None:
            return nothing
        session = request.session_hash
        sessions.add(session)
        try:
            image = read_image(path)
            box = parse_numbers(box, 'left top right bottom')
            camera = parse_numbers(camera, 'fx fy cx cy')
            fov, bone_length = (
                numbers[0] if numbers else None
                for numbers in (parse_numbers(fov, 'degrees'),
                                parse_numbers(bone_length, 'mm')))
            if camera is not None:
                fx, fy, cx, cy = camera
                camera = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
            hands = next(
                hand_pose(
                    image,
                    bboxes=box,
                    camera_matrix=camera,
                    bone_length=bone_length,
                    fov=fov if camera is None else None,
                    hand_side=side))
            frame = hands.to_dict()
        except ValueError as error:
            gr.Warning(str(error))
            return nothing
        if not frame['hands']:
            gr.Info('No hand was found: give its box.')
        overlay = draw_hands(image, frame)[..., ::-1]
        remove_result(session)
        # a new name each time: browsers and visitors cannot take another's
        own_folder = Path(tempfile.mkdtemp(dir=folder))
        results[session] = own_folder
        path = own_folder / 'hands.json'
        try:
            path.write_text(json.dumps(frame, indent=1, allow_nan=False))
        except OSError:
            remove_result(session)
            gr.Warning('The server cannot store the answer: is its disk full?')
            return nothing
        if session not in sessions:  # its tab was closed meanwhile
            remove_result(session)
            return nothing
        names = [
            f'{i + 1}: {hand["hand_side"] or "hand"}'
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
                give_path(image)
                box = gr.Textbox(
                    label='Box of the hand',
                    info='left top right bottom, pixels; empty: ' +
                    ('the detector looks for hands'
                     if hand_pose.detector else 'the whole image'),
                    elem_id='box')
                with gr.Accordion('Camera and hand', open=False):
                    camera = gr.Textbox(
                        label='Camera',
                        info='fx fy cx cy, pixels of the image; empty: from '
                        'the angle of view')
                    # Gradio makes a 0 of an empty gr.Number when it is shown
                    fov = gr.Textbox(
                        label='Angle of view',
                        info='degrees, across the longer side; empty: '
                        'assumed; not used if the camera is given')
                    bone_length = gr.Textbox(
                        label='Bone',
                        info="length from the middle finger's knuckle to its "
                        'next joint, mm; empty: an average')
                    side = gr.Radio(['auto', 'left', 'right'],
                                    value='auto',
                                    label='Side')
                run = gr.Button('Estimate', variant='primary', elem_id='run')
            with gr.Column():
                overlay = gr.Image(
                    label='Joints in the image',
                    # WebP, the default, takes 30 s for the largest
                    format='jpeg',
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
    # one at a time, and no way round the queue
    page.queue(
        max_size=_MAX_QUEUE, api_open=False, default_concurrency_limit=1)
    return page


def allowed_hosts(server_name: str, more: Iterable[str] = ()) -> List[str]:
    """What the ``Host`` of a request may be.

    Any other is that of a page elsewhere whose name was made to point here
    (DNS rebinding) and which could read all answers.

    Args:
        server_name (str): Address to serve at.
        more (Iterable[str]): Other names and addresses.

    Returns:
        list[str]: This machine, the address, or, where that is any, the
        machine's name and addresses as it knows them, and ``more``.
    """
    hosts = ['localhost', '127.0.0.1', '::1']
    if server_name in ('0.0.0.0', '::'):
        name = socket.gethostname()
        hosts += [name, socket.getfqdn()]
        try:
            hosts += [info[4][0] for info in socket.getaddrinfo(name, None)]
        except OSError:  # nobody knows it by its name
            pass
    else:
        hosts.append(server_name)
    hosts += more
    # an address of IPv6 has brackets there
    hosts = [f'[{host}]' if ':' in host else host for host in hosts]
    return list(dict.fromkeys(hosts))


def guards(hosts: List[str], folder: Path) -> List:
    """What sees a request before Gradio does.

    Args:
        hosts (list[str]): What :func:`allowed_hosts` gives.
        folder (Path): Where the visitors' files are.

    Returns:
        list[starlette.middleware.Middleware]: For the app.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    return [
        Middleware(
            TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(UploadLimit, folder=folder),
    ]


class UploadLimit:
    """Refuses what is too long, and all while too much is stored.

    Gradio's own limit is one of single files, of which a request may have
    many.

    Args:
        app (Callable): The ASGI app behind.
        folder (Path): Where the visitors' files are.
        body (int): Bytes that a request may have. Defaults to those of an
            image, and what a form has round it.
        stored (int): Bytes that the folder may have, before the request.
    """

    def __init__(self,
                 app: Any,
                 folder: Path,
                 body: int = MAX_MEGABYTES * 2**20 + 2**16,
                 stored: int = MAX_STORED_MEGABYTES * 2**20) -> None:
        self.app, self.folder = app, folder
        self.body, self.stored = body, stored

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.datastructures import Headers
        from starlette.exceptions import HTTPException
        from starlette.formparsers import MultiPartException
        from starlette.responses import PlainTextResponse
        if scope['type'] != 'http' or scope['method'] != 'POST':
            return await self.app(scope, receive, send)
        why = f'A request may have {self.body} bytes.'
        headers = Headers(scope=scope)
        length = headers.get('content-length', '0')
        if not length.isdecimal() or int(length) > self.body:
            return await PlainTextResponse(why, 413)(scope, receive, send)
        if num_bytes(self.folder) > self.stored:
            response = PlainTextResponse(
                'Too many images are stored; try again in an hour or two.',
                507)
            return await response(scope, receive, send)
        received = 0

        async def limited() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get('body', b''))
            if received > self.body:
                # in a form this lets Gradio remove what came before
                if headers.get('content-type', '').startswith('multipart'):
                    raise MultiPartException(why)
                raise HTTPException(413, why)
            return message

        await self.app(scope, limited, send)


def num_bytes(folder: Path) -> int:
    """Size of all files in a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.path.getsize(os.path.join(root, name))
            except OSError:  # removed just now
                pass
    return total


def launch(page: Any, server_name: str, port: int, guards: List) -> str:
    """Serve a page in a thread.

    Args:
        page (gradio.Blocks): What :func:`build_page` gives.
        server_name (str): Address to serve at.
        port (int): Port.
        guards (list[starlette.middleware.Middleware]): What stands before it.

    Returns:
        str: Where it is.
    """
    _, url, _ = page.launch(
        server_name=server_name,
        server_port=port,
        # told by the page; the guards see to the rest of a request
        max_file_size=MAX_MEGABYTES * 2**20,
        app_kwargs=dict(middleware=guards),
        # its server would take requests before them
        ssr_mode=False,
        share=False,
        quiet=True,  # or it recommends to share
        prevent_thread_lock=True,
        theme=import_gradio().themes.Default(**FONTS).set(**CONTRAST),
        footer_links=[])
    return url


def serve(args: argparse.Namespace) -> None:
    """Serve the page until it is stopped."""
    hand_pose = arguments.open_hand_pose(args)
    # stopped by a service manager as by Ctrl+C, so that the folder goes
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parent = os.environ.get('GRADIO_TEMP_DIR')
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        # all that Gradio writes of the visitors: their images, the overlays
        os.environ['GRADIO_TEMP_DIR'] = str(Path(folder) / 'gradio')
        files = Path(folder) / 'files'
        files.mkdir()
        page = build_page(hand_pose, files)
        hosts = allowed_hosts(args.server_name, args.allowed_host)
        url = launch(page, args.server_name, args.port,
                     guards(hosts, Path(folder)))
        print(
            f'Serving at {url} (stop with Ctrl+C), to visitors who call it '
            f'{", ".join(hosts)}',
            flush=True)
        page.block_thread()


def main() -> None:
    args = parse_args()
    try:
        serve(args)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
