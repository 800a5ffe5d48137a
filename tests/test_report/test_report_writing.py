import pytest
from report_pages import visible_text
from work_dir_writer import write_predictions, write_work_dir

from lgh_mmpose.report import write_report


def test_weights_that_are_not_the_models_are_refused(config, tmp_path):
    """Else a network with random weights is what would be scored."""
    write_work_dir(tmp_path / 'work', config)  # the selector's weights alone
    with pytest.raises(ValueError, match=r'epoch_2\.pth is not .* backbone'):
        write_report(tmp_path / 'work', tmp_path / 'report.html')
    assert not (tmp_path / 'report.html').exists()


def test_nothing_that_is_read_is_replaced(config, tmp_path):
    write_work_dir(tmp_path / 'work', config)
    predictions = write_predictions(tmp_path / 'run.npz')
    checkpoint = tmp_path / 'work/epoch_2.pth'
    (tmp_path / 'link.html').symlink_to(checkpoint)
    for out in (checkpoint, predictions, tmp_path / 'link.html'):
        before = out.read_bytes()
        with pytest.raises(ValueError, match=f'--out {out} would overwrite'):
            write_report(
                tmp_path / 'work', out, predictions=dict(a=predictions))
        assert out.read_bytes() == before


def test_predictions_do_not_tell_their_checkpoint(report, config, predictions,
                                                  tmp_path):
    text = visible_text(report)
    assert 'toy: report' in text and 'epoch 2' not in text
    assert 'Checkpoint not known: predictions do not tell' in text
    assert 'Of epoch_2.pth, the last checkpoint of the work dir' in text

    write_work_dir(tmp_path / 'work', config)
    text = visible_text(
        write_report(
            tmp_path / 'work',
            tmp_path / 'named.html',
            checkpoint=tmp_path / 'work/epoch_2.pth',
            predictions=dict(named=predictions)))
    assert 'toy, epoch 2: report' in text and '20 iterations' in text
    assert 'not known' not in text and 'the last checkpoint' not in text
