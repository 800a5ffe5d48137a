"""No command replaces a file that it reads."""
import os

import pytest
from helpers import REPO_ROOT, run_script

CONFIG = REPO_ROOT / 'configs/lgh_freihand.py'
# the command, the file that it reads, and the option that would replace it;
# it is seen before a file is read, so that any content will do
CASES = [
    ('tools/test.py', [CONFIG, 'read.json', '--out', 'out.json']),
    ('tools/test.py', [CONFIG, 'read.pkl', '--dump', 'out.pkl']),
    ('tools/test.py', [CONFIG, 'read.json', '--submission', 'out.json']),
    ('tools/test.py', [CONFIG, 'read.zip', '--submission', 'out.json']),
    ('tools/analysis_tools/score_freihand.py',
     ['read.json', '.', '--out', 'out.json']),
    ('tools/analysis_tools/plot_pck.py', ['read.png', '--out', 'out']),
    ('tools/analysis_tools/joint_mutual_information.py',
     ['read.py', '--num-groups', '2', '--out', 'out.json']),
    ('benchmarks/plot_performance.py',
     ['read.json', 'other.json', '--page', 'out.md']),
    ('tools/dataset_converters/csv_to_hand3d_json.py',
     ['read.csv', '.', '.']),
    ('tools/model_converters/convert_official_checkpoint.py',
     ['read.pth', 'out.pth']),
]  # yapf: disable


@pytest.mark.parametrize('link', [os.link, os.symlink])
@pytest.mark.parametrize('script, arguments', CASES)
def test_an_input_is_not_replaced_by_any_name(tmp_path, script, arguments,
                                              link):
    read, = (
        tmp_path / a for a in map(str, arguments) if a.startswith('read.'))
    read.write_text('')
    (tmp_path / 'evaluation_xyz.json').write_text('[]')
    written = {
        'csv_to_hand3d_json.py': 'evaluation.json',
        'plot_pck.py': 'out.pdf',
    }.get(os.path.basename(script), arguments[-1])
    if read.suffix == '.zip':
        written = 'out.zip'
    link(read, tmp_path / written)
    result = run_script(
        REPO_ROOT / script, *arguments, cwd=tmp_path, check=False)
    said = f'{result.returncode}{result.stdout}'
    assert f'{written} would overwrite ' in said and read.name in said
    assert len([line for line in said.splitlines() if 'error: ' in line]) == 1
    assert (tmp_path / written).samefile(read)
