import pytest

from lgh_mmpose.report import local_paths


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
