import shutil

import numpy as np
import pytest
from dataset_writers import DEXTER_SEQUENCES, write_dexter_object
from mmpose.registry import DATASETS

from lgh_mmpose.datasets import DexterObject3DDataset
from lgh_mmpose.geometry.camera import project

TIPS = [4, 8, 12, 16, 20]  # in FreiHAND's order


@pytest.fixture(scope='module')
def dexter(tmp_path_factory):
    """Folder of all sequences and their tips; read only."""
    root = tmp_path_factory.mktemp('dexter')
    return root, write_dexter_object(root, num=2)


@pytest.fixture
def own_root(dexter, tmp_path):
    """A data set that the test may break."""
    return shutil.copytree(dexter[0], tmp_path / 'dexter')


def build(root, **kwargs):
    return DexterObject3DDataset(data_root=str(root), **kwargs)


def test_tips_in_the_colour_cameras_frame(dexter):
    root, tips = dexter
    dataset = build(root)
    assert len(dataset) == 12
    for i in range(12):
        record = dataset.get_data_info(i)
        sequence, frame = divmod(i, 2)
        assert record['id'] == 100000 * sequence + frame
        assert record['img_path'] == str(root / 'data' /
                                         DEXTER_SEQUENCES[sequence] / 'color' /
                                         f'image_{frame:05d}.png')
        visible = record['keypoints_visible'][0] > 0
        expected = ~np.isnan(tips[sequence, frame, :, 2])
        np.testing.assert_array_equal(visible[TIPS], expected)
        np.testing.assert_allclose(
            record['keypoints_cam'][0, TIPS][expected],
            tips[sequence, frame][expected],
            atol=1e-6)
        assert record['hand_side'] == 'left'


def test_joints_that_the_set_lacks_are_invisible_and_finite(dexter):
    record = build(dexter[0]).get_data_info(1)
    others = np.delete(np.arange(21), TIPS)
    assert not record['keypoints_visible'][0, others].any()
    assert not record['keypoints_visible'][0, 4]  # the missing thumb
    assert np.isfinite(record['keypoints_cam']).all()
    assert (record['keypoints_cam'][..., 2] > 0).all()
    assert np.isfinite(record['keypoints']).all()


def test_known_line(own_root):
    path = own_root / 'data' / 'Grasp1' / 'annotations' / 'Grasp13D.txt'
    line = '10, -20, 500; ' * 4 + '0, 0, 32001;'
    path.write_text(f'{line}\n{line}\n')
    record = build(own_root, sequences=['Grasp1']).get_data_info(0)
    x, y, z = -10., 20., 500.
    np.testing.assert_allclose(record['keypoints_cam'][0, 4], [
        0.9999 * x + 0.0034 * y + 0.0161 * z + 19.0473,
        -0.0033 * x + 1.0000 * y - 0.0079 * z - 1.8514,
        -0.0162 * x + 0.0079 * y + 0.9998 * z - 4.7501
    ])
    assert record['keypoints_visible'][0].sum() == 4


def test_no_root_and_no_bone_unless_given(dexter):
    record = build(dexter[0]).get_data_info(0)
    assert not {'root_depth', 'bone_length'} & record.keys()
    record = build(dexter[0], bone_length=31.5).get_data_info(0)
    assert record['bone_length'] == 31.5
    with pytest.raises(ValueError, match='argument bone_length.*are in mm'):
        build(dexter[0], bone_length=0.)


def test_boxes_span_the_tips_and_a_hand(dexter, own_root):
    record = build(dexter[0]).get_data_info(0)
    box, tips = record['bbox'][0], record['keypoints'][0, TIPS]
    assert (box[:2] <= tips.min(0) + 1e-3).all()
    assert (box[2:] >= tips.max(0) - 1e-3).all()
    # a single tip has no extent of its own
    path = own_root / 'data' / 'Grasp1' / 'annotations' / 'Grasp13D.txt'
    lines = path.read_text().splitlines()
    lines[0] = '0, 0, 500; ' + '0, 0, 32001; ' * 4
    path.write_text('\n'.join(lines))
    record = build(own_root).get_data_info(0)
    size = record['bbox'][0, 2:] - record['bbox'][0, :2]
    z = record['keypoints_cam'][0, 4, 2]
    np.testing.assert_allclose(
        size * z / [587.45209, 600.67456], 100, rtol=1e-5)
    np.testing.assert_allclose(
        record['bbox'][0].reshape(2, 2).mean(0),
        project(record['keypoints_cam'][0, 4:5], record['camera_matrix'])[0],
        rtol=1e-5)


def test_images_without_a_tip_are_left_out(own_root):
    path = own_root / 'data' / 'Rigid' / 'annotations' / 'Rigid3D.txt'
    lines = path.read_text().splitlines()
    lines[0] = '0, 0, 32001; ' * 5
    path.write_text('\n'.join(lines))
    dataset = build(own_root, sequences=['Rigid'])
    assert [dataset.get_data_info(i)['id']
            for i in range(len(dataset))] == [300001]


def test_images_may_count_from_one(tmp_path):
    tips = write_dexter_object(tmp_path, ['Pinch'], num=2, first=1)
    record = build(tmp_path, sequences=['Pinch']).get_data_info(0)
    assert record['img_path'].endswith('image_00001.png')
    np.testing.assert_allclose(
        record['keypoints_cam'][0, TIPS], tips[0, 0], atol=1e-6)


def test_boxes_from_a_file(dexter, own_root, tmp_path):
    path = tmp_path / 'boxes.csv'
    rows = [
        f'{sequence}/color/image_{i:05d}.png,{10 + i},20,100,50'
        for sequence in DEXTER_SEQUENCES for i in range(2)
    ]
    path.write_text('\n'.join(['img_name,x,y,w,h', *rows]))
    record = build(dexter[0], bbox_csv=str(path)).get_data_info(3)
    np.testing.assert_array_equal(record['bbox'], [[11, 20, 111, 70]])
    # a relative path is one in the data set's folder
    shutil.copy(path, own_root / 'data')
    record = build(own_root, bbox_csv='data/boxes.csv').get_data_info(3)
    np.testing.assert_array_equal(record['bbox'], [[11, 20, 111, 70]])
    for text, message in (
        ('img_name,x,y,w\n', 'h missing'), ('', 'missing'),
        ('\n'.join(['img_name,x,y,w,h',
                    *rows[:-1]]), 'no box for Rotate/color/image_00001.png'),
        ('img_name,x,y,w,h\nGrasp1/color/image_00000.png,1,2,3,four',
         'line 2'), ('img_name,x,y,w,h\na.png,1,2,0,4',
                     'line 2'), ('img_name,x,y,w,h\na.png,1,2', 'line 2'),
        ('img_name,x,y,w,h\na.png,1e308,2,1e308,4',
         'line 2'), ('img_name,x,y,w,h\na.png,1,2,5e-324,4', 'line 2'),
        ('img_name,x,y,w,h\na.png,1,nan,3,4',
         'line 2'), ('img_name,x,y,w,h\na.png,1,2,3,inf', 'line 2'),
        (f'img_name,x,y,w,h\na.png,{"9" * 401},2,3,4',
         'line 2'), ('img_name,x,y,w,h\n\udcff,1,2,3,4',
                     'no box for'), ('img_name,x,y,w,h\n' + 'a' * 200000,
                                     'line 2')):
        path.write_bytes(text.encode(errors='surrogateescape'))
        with pytest.raises(ValueError, match=message) as error:
            build(dexter[0], bbox_csv=str(path))
        assert 'boxes.csv' in str(error.value)


@pytest.mark.parametrize('line', [
    '1, 2, 3; ' * 4, '1, 2, 3; ' * 6, '1, 2; ' * 5, 'a, b, c; ' * 5, '<html>'
])
def test_bad_line_is_named(own_root, line):
    path = own_root / 'data' / 'Pinch' / 'annotations' / 'Pinch3D.txt'
    path.write_text('1, 2, 300; ' * 5 + '\n\n' + line + '\n')
    with pytest.raises(ValueError, match='Pinch3D.txt, line 3: must be 5'):
        build(own_root)


def test_impossible_tip_is_named(own_root):
    path = own_root / 'data' / 'Pinch' / 'annotations' / 'Pinch3D.txt'
    good = '1, 2, 300; ' * 5
    path.write_text(f'{good}\n' + '1, 2, 300; ' * 4 + '1, 2, -300;')
    with pytest.raises(ValueError, match='pinky_finger4 of sample 1 is not'):
        build(own_root)
    path.write_text(f'{good}\n' + '1, 2, 300; ' * 4 + 'nan, 2, 300;')
    with pytest.raises(ValueError, match='pinky_finger4 of sample 1 is not'):
        build(own_root)


def test_lines_and_images_must_be_as_many(own_root):
    (own_root / 'data/Rotate/color/image_00001.png').unlink()
    with pytest.raises(ValueError, match='2 lines, but .* 1 images'):
        build(own_root)


def test_missing_files_say_where_to_get_them(tmp_path, own_root):
    with pytest.raises(FileNotFoundError, match=r'dexter\+object.htm'):
        build(tmp_path / 'nowhere')
    (own_root / 'data/Rotate/annotations/Rotate3D.txt').unlink()
    with pytest.raises(FileNotFoundError, match='Rotate3D.txt missing'):
        build(own_root)


def test_serves_tests_only(dexter):
    with pytest.raises(ValueError, match='test_mode=True only'):
        build(dexter[0], test_mode=False)
    for sequences in (['Grasp3'], 'Grasp1', []):
        with pytest.raises(ValueError, match='sequences must be a list of'):
            build(dexter[0], sequences=sequences)


def test_joints_come_in_the_order_of_the_metainfo(dexter):
    dataset = DATASETS.build(
        dict(
            type='DexterObject3DDataset',
            data_root=str(dexter[0]),
            metainfo=dict(from_file='configs/_base_/datasets/rhd2d.py')))
    record = dataset.get_data_info(0)
    tips = [
        record['keypoint_names'].index(f'{finger}4')
        for finger in ('thumb', 'forefinger', 'middle_finger', 'ring_finger',
                       'pinky_finger')
    ]
    assert tips == [1, 5, 9, 13, 17]
    np.testing.assert_allclose(
        record['keypoints_cam'][0, tips], dexter[1][0, 0], atol=1e-6)
