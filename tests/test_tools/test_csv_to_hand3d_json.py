"""tools/dataset_converters/csv_to_hand3d_json.py and its page."""
import csv
import json
import os
import re
import shlex

import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES, hand3d_json, write_image
from helpers import REPO_ROOT, run_script
from PIL import Image

from lgh_mmpose.datasets import Hand3DJsonDataset
from lgh_mmpose.engine.hooks import keep_memory_hook

CONVERT = REPO_ROOT / 'tools/dataset_converters/csv_to_hand3d_json.py'
DOCS = REPO_ROOT / 'docs/how_to/train_on_your_own_data.md'


def rows_of(content):
    """Lines of the csv for the hands of a json."""
    rows = []
    for image, ann in zip(content['images'], content['annotations']):
        (fx, _, cx), (_, fy, cy), _ = ann['camera_matrix']
        row = dict(
            image=image['file_name'],
            hand_side=ann['hand_side'],
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy)
        for name, xyz in zip(FREIHAND_NAMES, ann['keypoints_cam']):
            row.update({f'{name}_{axis}': x for axis, x in zip('xyz', xyz)})
        rows.append(row)
    return rows


def write(folder, rows, encoding='utf-8'):
    with open(
            folder / 'hands.csv', 'w', newline='', encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def my_hands(tmp_path):
    """Folder of images, and the lines that go with them."""
    content = hand3d_json(num=5)
    for i, image in enumerate(content['images']):
        write_image(tmp_path / 'images' / image['file_name'],
                    (image['width'], image['height']), i)
    return tmp_path, content, rows_of(content)


def convert(folder, *arguments, check=True):
    return run_script(
        CONVERT,
        'hands.csv',
        'images',
        'out',
        *arguments,
        cwd=folder,
        check=check)


def read(folder, split, **kwargs):
    return Hand3DJsonDataset(str(folder / 'out'), f'{split}.json', **kwargs)


def test_hands_arrive_as_they_are(my_hands):
    folder, content, rows = my_hands
    write(folder, rows)
    output = convert(folder, '--eval-fraction', 0.4).stdout
    assert 'out/training.json: 3 hands in 3 images' in output
    assert 'out/evaluation.json: 2 hands in 2 images' in output
    training, evaluation = read(folder, 'training'), read(folder, 'evaluation')
    assert len(training) == 3 and len(evaluation) == 2
    records = [
        *(training.get_data_info(i) for i in range(3)),
        *(evaluation.get_data_info(i) for i in range(2))
    ]
    for i, (record, ann) in enumerate(zip(records, content['annotations'])):
        assert record['img_path'].endswith(f'images/{i}.png')
        assert record['hand_side'] == ann['hand_side']
        np.testing.assert_allclose(record['keypoints_cam'][0],
                                   ann['keypoints_cam'])
        np.testing.assert_array_equal(record['camera_matrix'],
                                      ann['camera_matrix'])
        np.testing.assert_allclose(
            record['keypoints'][0],
            np.reshape(ann['keypoints'], (21, 3))[:, :2],
            atol=1e-3)
        x, y, w, h = ann['bbox']
        np.testing.assert_allclose(
            record['bbox'], [[x, y, x + w, y + h]], rtol=1e-5)


def test_optional_columns_unit_and_camera(my_hands):
    folder, content, rows = my_hands
    for i, row in enumerate(rows):
        ann = content['annotations'][i]
        for key in ('fx', 'fy', 'cx', 'cy'):
            del row[key]
        for name in FREIHAND_NAMES:
            for axis in 'xyz':
                row[f'{name}_{axis}'] /= 1000
        for name, (u, v, _) in zip(FREIHAND_NAMES,
                                   np.reshape(ann['keypoints'], (21, 3))):
            row.update({f'{name}_u': u, f'{name}_v': v})
        row.update(
            bbox_x=1,
            bbox_y=2,
            bbox_w=30,
            bbox_h=40,
            bone_length=.0412 if i else '',
            split='evaluation' if i in (0, 3) else 'training')
    for key in 'xyzuv':
        rows[0][f'thumb4_{key}'] = ''
    write(folder, rows, encoding='utf-8-sig')  # as spreadsheets save it
    convert(folder, '--unit', 'm', '--camera', 200, 205, 47, 40)
    evaluation = read(folder, 'evaluation')
    assert len(evaluation) == 2 and len(read(folder, 'training')) == 3
    first, second = evaluation.get_data_info(0), evaluation.get_data_info(1)
    np.testing.assert_allclose(
        second['keypoints_cam'][0],
        content['annotations'][3]['keypoints_cam'],
        rtol=1e-6)
    assert first['keypoints_visible'].sum() == 20
    assert first['keypoints_visible'][0, 4] == 0
    assert first['bone_length'] == pytest.approx(44)
    assert second['bone_length'] == pytest.approx(41.2)
    np.testing.assert_array_equal(first['bbox'], [[1, 2, 31, 42]])


def test_pixels_find_a_wrong_camera(my_hands):
    folder, content, rows = my_hands
    for row, ann in zip(rows, content['annotations']):
        for name, (u, v, _) in zip(FREIHAND_NAMES,
                                   np.reshape(ann['keypoints'], (21, 3))):
            row.update({f'{name}_u': u, f'{name}_v': v})
        row['fx'] = 250
    write(folder, rows)
    result = convert(folder, check=False)
    assert result.returncode == 1
    # the id of an annotation is its line
    assert re.search(
        'error: hands.csv: keypoints of annotation 2 .*px from '
        'the projection', result.stdout)


def test_both_hands_of_an_image_stay_together(my_hands):
    folder, _, rows = my_hands
    rows[4]['image'] = rows[0]['image']
    write(folder, rows)
    convert(folder, '--eval-fraction', 0.25)
    assert len(read(folder, 'training')) == 4
    assert len(read(folder, 'evaluation')) == 1
    for row, split in zip(rows, ('training', ) * 4 + ('evaluation', )):
        row['split'] = split
    write(folder, rows)
    result = convert(folder, check=False)
    assert 'line 6: image 0.png is in both splits' in result.stdout


def cell(row, column, value):
    return lambda rows: rows[row].__setitem__(column, value)


def drop(column):
    return lambda rows: [row.pop(column) for row in rows]


@pytest.mark.parametrize('edit, message', [
    (cell(1, 'hand_side', 'L'), "line 3: hand_side must be one of .* got 'L'"),
    (cell(1, 'thumb2_y', 'abc'), "line 3: thumb2_y must be a number, got 'a"),
    (cell(1, 'thumb2_y', 'nan'), 'line 3: thumb2_y must be a number'),
    (cell(1, 'thumb2_y', ''), 'line 3: thumb2 lacks thumb2_y'),
    (cell(1, 'thumb2_z', -5), 'line 3: thumb2 is not in front of the camera'),
    (cell(1, 'fx', ''), 'line 3: the camera lacks fx'),
    (cell(1, 'fx', -3), 'line 3: fx and fy must be positive'),
    (cell(1, 'image', 'no.png'), 'line 3: cannot read the image .*no.png'),
    (cell(1, 'image', '../hands.csv'), 'line 3: cannot read the image'),
    (drop('fy'), 'lacks the columns fy'),
    (drop('thumb1_x'), 'lacks the columns thumb1_x'),
    (lambda rows: [row.update(palm_x=1)
                   for row in rows], 'has unknown columns palm_x'),
    (lambda rows: [row.update(bbox_x=1) for row in rows],
     'lacks the columns bbox_y, bbox_w, bbox_h'),
    (lambda rows:
     [row.update(bbox_x=1, bbox_y=1, bbox_w=0, bbox_h=1)
      for row in rows], 'line 2: the box has no area'),
    (lambda rows: [row.update(split='val') for row in rows],
     "line 2: split must be one of .* got 'val'"),
    (lambda rows: rows.__setitem__(1, {
        k: '' if k[-2:-1] == '_' else v
        for k, v in rows[1].items()
    }), 'line 3: no joint is annotated'),
    (lambda rows: rows[1].update(
        {f'middle_finger1_{axis}': ''
         for axis in 'xyz'}),
     'line 3: middle_finger1 is not annotated; all depths'),
])
def test_errors_name_line_and_column(my_hands, edit, message):
    folder, _, rows = my_hands
    edit(rows)
    write(folder, rows)
    result = convert(folder, check=False)
    assert result.returncode == 1
    assert result.stdout.startswith('error: hands.csv')
    assert re.search(message, result.stdout)
    assert not (folder / 'out').exists()


def scale_joints(factor):
    """All joints and bones of all lines in another unit."""

    def edit(rows):
        for row in rows:
            for name in row:
                if name[-2:] in ('_x', '_y', '_z'):
                    row[name] *= factor

    return edit


def give_box(index, box):

    def edit(rows):
        for i, row in enumerate(rows):
            row.update(bbox_x='', bbox_y='', bbox_w='', bbox_h='')
            if i == index:
                row.update(zip(('bbox_x', 'bbox_y', 'bbox_w', 'bbox_h'), box))

    return edit


def give_bones(length):
    return lambda rows: [
        row.update(bone_length=length if i == 1 else '')
        for i, row in enumerate(rows)
    ]


def move_hand(rows):
    for name in list(rows[1]):
        if name.endswith('_x'):
            rows[1][name] += 1000


@pytest.mark.parametrize('edit, message', [
    (scale_joints(1e-3), 'line 2: the hand of sample 0.png has .* seem to be '
     'in m, they must be in mm'),
    (scale_joints(.1), 'line 2: .* seem to be in cm, they must be in mm; '
     '--unit tells the unit of the file'),
    (give_bones(4.4), 'line 3: the bone length of sample 1.png is 4.4 mm, .* '
     'in cm, they must be in mm'),
    (give_bones(90), 'line 3: .* is 90 mm, but 44 mm by the joints'),
    (cell(1, 'fx', 4.2), 'line 3: the camera of sample 1.png has focal len'),
    (cell(1, 'fx', 1e308), 'line 3: the camera'),
    (cell(1, 'thumb2_x', 1e308), 'line 3: joint thumb2 of sample 1.png lies'),
    (cell(1, 'cx', 1e308), 'line 3: the camera matrix of sample 1.png is'),
    (cell(1, 'thumb2_z', 5e-324), 'line 3: joint thumb2 of sample 1.png lies'),
    (cell(1, 'middle_finger1_z', 1e308), 'line 3: '),
    (give_box(1, [100, 0, 50, 50]), 'line 3: the box from 100, 0 .* outside'),
    (give_box(1, [0, 0, 1e308, 50]), 'hands.csv: bbox of annotation 3 must'),
    (move_hand, 'line 3: the box .* lies outside of the image of 96 x 80 px'),
])
def test_what_no_hand_is_like_is_refused(my_hands, edit, message):
    folder, _, rows = my_hands
    edit(rows)
    write(folder, rows)
    result = convert(folder, check=False)
    assert result.returncode == 1
    assert result.stdout.startswith('error: hands.csv')
    assert re.search(message, result.stdout), result.stdout
    assert not (folder / 'out').exists()


def test_a_unit_that_is_given_is_the_one_that_is_told(my_hands):
    folder, _, rows = my_hands
    write(folder, rows)
    result = convert(folder, '--unit', 'm', check=False)
    assert 'seem to be in mm, they must be in m' in result.stdout


@pytest.mark.parametrize('camera', ['nan nan nan nan', '1e308 1e308 0 0'])
def test_a_camera_that_is_none(my_hands, camera):
    folder, _, rows = my_hands
    for row in rows:
        for name in ('fx', 'fy', 'cx', 'cy'):
            del row[name]
    write(folder, rows)
    result = convert(folder, '--camera', *camera.split(), check=False)
    assert result.returncode == 1
    assert result.stdout.startswith('error: hands.csv, line 2: ')


def test_images_that_training_would_refuse_are_refused(my_hands):
    folder, _, rows = my_hands
    write(folder, rows)
    path = folder / 'images/1.png'
    path.write_bytes(path.read_bytes()[:-20])
    result = convert(folder, check=False)
    assert 'line 3: cannot read the image images/1.png: ' in result.stdout


def test_a_data_folder_behind_a_symbolic_link(my_hands):
    """The usual set-up of OpenMMLab: data is a link to a larger disk."""
    folder, _, rows = my_hands
    write(folder, rows)
    (folder / 'disk/far/away').mkdir(parents=True)
    (folder / 'data').symlink_to(folder / 'disk/far/away')
    run_script(CONVERT, 'hands.csv', 'images', 'data/own', cwd=folder)
    dataset = Hand3DJsonDataset(str(folder / 'data/own'), 'training.json')
    for i in range(len(dataset)):
        path = dataset.get_data_info(i)['img_path']
        assert os.path.samefile(path, folder / 'images' / rows[i]['image'])


def test_images_behind_a_symbolic_link(my_hands):
    folder, _, rows = my_hands
    write(folder, rows)
    (folder / 'disk/far').mkdir(parents=True)
    (folder / 'images').rename(folder / 'disk/far/images')
    (folder / 'here').symlink_to(folder / 'disk/far')
    # ".." of a link is where it leads
    (folder / 'disk/images').symlink_to('far/images')
    for images in ('here/images', 'here/../images'):
        run_script(CONVERT, 'hands.csv', images, 'out', cwd=folder)
        dataset = read(folder, 'training')
        assert os.path.isfile(dataset.get_data_info(0)['img_path'])


def test_file_names_from_windows(my_hands):
    folder, _, rows = my_hands
    for row in rows:
        row['image'] = f'images\\{row["image"]}'
    write(folder, rows)
    run_script(CONVERT, 'hands.csv', '.', 'out', cwd=folder)
    content = json.loads((folder / 'out/training.json').read_text())
    assert content['images'][0]['file_name'] == '../images/0.png'


def test_former_file_of_an_empty_split_is_removed(my_hands):
    folder, _, rows = my_hands
    write(folder, rows)
    convert(folder, '--eval-fraction', 0.4)
    output = convert(folder, '--eval-fraction', 0).stdout
    assert 'removed the former out/evaluation.json' in output
    assert [path.name
            for path in (folder / 'out').iterdir()] == ['training.json']
    assert len(read(folder, 'training')) == 5


@pytest.mark.parametrize(
    'break_text, message',
    [
        # a decimal comma
        (lambda text: text.replace('.', ',', 1),
         'line 2: has more cells than there are columns'),
        (lambda text: text.rstrip() + ',',
         "line 6: has more cells .* the last is ''"),
        (lambda text: text.replace('left', 'x' * 200000, 1),
         r'line 2: is no csv \(field larger'),
        (lambda text: text.replace('left', 'gauche\xe9', 1),
         'hands.csv is not in UTF-8'),
    ])
def test_not_such_a_csv(my_hands, break_text, message):
    folder, _, rows = my_hands
    for row in rows:  # no point before the first number
        row['image'] = row['image'].partition('.')[0]
    write(folder, rows)
    path = folder / 'hands.csv'
    path.write_bytes(break_text(path.read_text()).encode('latin1'))
    result = convert(folder, check=False)
    assert result.returncode == 1
    assert result.stdout.startswith('error: hands.csv')
    assert re.search(message, result.stdout)


def test_empty_and_missing_files(my_hands):
    folder, _, _ = my_hands
    assert 'hands.csv' in convert(folder, check=False).stdout
    (folder / 'hands.csv').write_text('')
    result = convert(folder, check=False)
    assert 'hands.csv has no line below the names' in result.stdout
    assert result.returncode == 1


# -- the page in the docs ----------------------------------------------------


def documented_commands():
    blocks = re.findall(r'```bash\n(.*?)```', DOCS.read_text(), re.DOTALL)
    return [
        shlex.split(line) for block in blocks
        for line in block.strip().splitlines()
    ]


TOY = [
    'train_cfg.max_epochs=1', 'default_hooks.checkpoint.save_optimizer=False',
    *(f'{split}_dataloader.{key}' for split in ('train', 'val', 'test')
      for key in ('batch_size=2', 'num_workers=0', 'persistent_workers=False'))
]


def test_every_command_of_the_page_in_its_order(my_hands, monkeypatch):
    """From the images and the csv to a tested network, in a toy size."""
    # it would change the memory of this process for good
    monkeypatch.setattr(keep_memory_hook, 'keep_memory', lambda: True)
    source, _, rows = my_hands
    folder = source / 'project'
    folder.mkdir()
    (folder / 'my_hands').mkdir()
    (source / 'images').rename(folder / 'my_hands/images')
    write(folder / 'my_hands', rows)
    ran = []
    for command in documented_commands():
        assert command[0] == 'python' and command[1].startswith('tools/')
        ran.append(command[1])
        command = [
            REPO_ROOT / part if part.startswith(
                ('tools/',
                 'configs/')) else part.replace('epoch_10', 'epoch_1')
            for part in command[1:]
        ]
        if ran[-1] in ('tools/train.py', 'tools/test.py'):
            command += ['--cfg-options', *TOY]
        run_script(*command, cwd=folder)
    assert ran == [
        'tools/dataset_converters/csv_to_hand3d_json.py', 'tools/test.py',
        'tools/train.py', 'tools/test.py',
        'tools/dataset_converters/convert_hand3d.py',
        'tools/dataset_converters/convert_hand3d.py'
    ]
    assert len(read_split(folder / 'data/own/training.json')) == 4
    assert (folder / 'work_dirs/lgh_finetune_own-data/epoch_1.pth').is_file()
    assert list((folder / 'work_dirs').rglob('pictures/*'))
    assert len(read_split(folder / 'data/freihand_json/training.json')) == 4


def read_split(path):
    return json.loads(path.read_text())['annotations']


@pytest.mark.parametrize(
    'kind', ['JPEG', 'WEBP', 'BMP', 'TIFF', 'AVIF', 'GIF', 'JPEG2000'])
def test_what_the_converter_takes_can_be_trained_on(my_hands, kind):
    folder, _, rows = my_hands
    for row in rows:
        path = folder / 'images' / row['image']
        Image.open(path).save(path.with_suffix('.picture'), kind)
        row['image'] = path.with_suffix('.picture').name
    write(folder, rows)
    convert(folder)
    pipeline = [dict(type='LoadHandImage')]
    dataset = read(folder, 'training', pipeline=pipeline)
    assert dataset[0]['img'].shape[1::-1] == image_size_in(folder)
    assert dataset.num_unreadable_images == 0


def image_size_in(folder):
    """Of the first image, by the json."""
    image = json.loads((folder / 'out/training.json').read_text())['images'][0]
    return image['width'], image['height']


def test_sizes_are_those_of_the_upright_image(my_hands):
    folder, content, rows = my_hands
    path = folder / 'images' / rows[0]['image']
    exif = Image.Exif()
    exif[0x112] = 6
    image = Image.open(path)
    image.rotate(90, expand=True).save(path, exif=exif)
    write(folder, rows)
    convert(folder)
    assert image_size_in(folder) == image.size


def test_images_that_cannot_be_decoded_are_named_with_their_line(my_hands):
    folder, _, rows = my_hands
    path = folder / 'images' / rows[1]['image']
    path.write_bytes(path.read_bytes()[:-20])
    write(folder, rows)
    result = convert(folder, check=False)
    assert result.returncode == 1
    assert re.search(r'line 3: cannot read the image .*: the file is truncat',
                     result.stdout)
