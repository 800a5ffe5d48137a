"""Which instructions for bf16 the CPU has, and who says so."""
import builtins
import io
import sys
from types import SimpleNamespace

import pytest
import torch
from helpers import REPO_ROOT, run_script

from lgh_mmpose import cpu
from lgh_mmpose.cpu import bf16_instructions, describe_bf16

# of /proc/cpuinfo, shortened: a server with AMX, one of AMD, a laptop, an ARM
FILES = {
    'AMX': 'flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile',
    'AVX512_BF16': 'flags\t\t: fpu avx2 avx512f avx512_bf16',
    'AVX2': 'flags\t\t: fpu avx2 avx_vnni\nvmx flags\t: amx_bf16',
    'ARM': 'Features\t: fp asimd bf16',
}


@pytest.fixture(autouse=True)
def detection(monkeypatch):
    """The detection itself, asked anew."""
    monkeypatch.delenv('LGH_MMPOSE_BF16', raising=False)
    monkeypatch.setattr(cpu, '_instructions_of_the_cpu',
                        cpu._instructions_of_the_cpu.__wrapped__)


def system(monkeypatch, text):
    """A system whose /proc/cpuinfo holds a text, or that has none."""
    here = builtins.open

    def read(path, *args, **kwargs):
        if path != '/proc/cpuinfo':
            return here(path, *args, **kwargs)
        if text is None:
            raise FileNotFoundError(path)
        return io.StringIO(f'processor\t: 0\n{text}\n\nprocessor\t: 1\n')

    monkeypatch.setattr(builtins, 'open', read)


@pytest.mark.parametrize('name', FILES)
def test_linux_tells(name, monkeypatch):
    system(monkeypatch, FILES[name])
    expected = name if name in cpu.BF16_INSTRUCTIONS else ''
    assert bf16_instructions() == expected
    assert describe_bf16() == (f'this CPU computes bf16 ({expected})'
                               if expected else
                               'this CPU has no bf16 instructions')


@pytest.mark.parametrize('amx, avx512, expected', [
    (True, True, 'AMX'),
    (False, True, 'AVX512_BF16'),
    (False, False, ''),
])
def test_elsewhere_torch_tells(amx, avx512, expected, monkeypatch):
    system(monkeypatch, None)
    for name, able in (('amx_tile', amx), ('avx512_bf16', avx512)):
        monkeypatch.setattr(
            torch.cpu,
            f'_is_{name}_supported',
            lambda able=able: able,
            raising=False)
    assert bf16_instructions() == expected


def test_what_an_old_torch_does_not_tell_counts_as_no(monkeypatch):
    system(monkeypatch, None)
    for name in ('_is_amx_tile_supported', '_is_avx512_bf16_supported'):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert bf16_instructions() == ''


@pytest.mark.parametrize('able, expected', [
    (['FP32', 'BF16'], 'AVX512_BF16'),
    (['FP32'], ''),
])
def test_without_torch_openvino_tells(able, expected, monkeypatch):
    """As in the exported runner on Windows."""
    system(monkeypatch, None)
    core = SimpleNamespace(get_property=lambda device, name: able)
    monkeypatch.setitem(sys.modules, 'torch', None)
    monkeypatch.setitem(sys.modules, 'openvino',
                        SimpleNamespace(Core=lambda: core))
    assert bf16_instructions() == expected
    monkeypatch.setitem(sys.modules, 'openvino', None)
    assert bf16_instructions() == ''


def test_torch_agrees_with_the_system():
    probes = [
        getattr(torch.cpu, f'_is_{name}_supported', None)
        for name in ('amx_tile', 'avx512_bf16')
    ]
    if None in probes:
        pytest.skip('this torch does not tell')
    assert bool(bf16_instructions()) == any(probe() for probe in probes)


def test_the_environment_decides(cpu_bf16, monkeypatch):
    for text in FILES.values():
        system(monkeypatch, text)
        assert bf16_instructions() == cpu_bf16
        assert describe_bf16().endswith(', as LGH_MMPOSE_BF16 says')


def test_an_empty_variable_decides_nothing(monkeypatch):
    system(monkeypatch, FILES['AMX'])
    monkeypatch.setenv('LGH_MMPOSE_BF16', '')
    assert bf16_instructions() == 'AMX'


def test_other_words_are_refused(monkeypatch):
    monkeypatch.setenv('LGH_MMPOSE_BF16', '0')
    with pytest.raises(ValueError, match="AVX512_BF16 or none, got '0'"):
        bf16_instructions()


@pytest.mark.parametrize('command', [
    ('tools/demo.py', ),
    ('benchmarks/run.py', '--only', 'metric'),
    ('benchmarks/training_speed.py', 'config.py'),
    ('tools/analysis_tools/compare_training.py', __file__, '--data-root',
     'data', '--work-dir', 'work', '--num-samples', 4),
])
def test_other_words_are_one_sentence(command, monkeypatch, tmp_path):
    monkeypatch.setenv('LGH_MMPOSE_BF16', 'yes')
    script, *arguments = command
    result = run_script(
        REPO_ROOT / script, *arguments, cwd=tmp_path, check=False)
    # argparse prints its errors, sys.exit carries ours
    assert "LGH_MMPOSE_BF16 must be AMX, AVX512_BF16 or none, got 'yes'" in \
        f'{result.stdout} {result.returncode}'
    assert not list(tmp_path.iterdir())
