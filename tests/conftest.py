import ast
import email
import gc
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import cv2
import pytest
from helpers import REPO_ROOT, run_command, write_freihand

# no test opens a window
os.environ.setdefault('MPLBACKEND', 'Agg')
# OpenCV waits for ever in a forked process whose parent had threads of its own
cv2.setNumThreads(0)


def pytest_collection_finish(session):
    # each data set calls the collector, which need not walk all modules
    gc.freeze()


@pytest.fixture(autouse=True)
def mmpose_scope():
    """Each test builds in mmpose's scope, whatever a runner left behind."""
    from mmengine.registry import init_default_scope
    init_default_scope('mmpose')


@pytest.fixture(autouse=True, scope='session')
def unformatted_configs():
    """Runners write their config without yapf, half the time of a toy run."""

    def check_only(text, **_):
        ast.parse(text)
        return text, False

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr('mmengine.config.config.FormatCode', check_only)
        yield


@pytest.fixture
def interruptible():
    """Python's handler of Ctrl-C, where the tests' shell ignores it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture(params=['AMX', 'AVX512_BF16', 'none'])
def cpu_bf16(request, monkeypatch):
    """Each answer to what computes bf16 here, '' for none; for children too.

    Where the CPU has no such instructions, torch imitates them.
    """
    monkeypatch.setenv('LGH_MMPOSE_BF16', request.param)
    return '' if request.param == 'none' else request.param


@pytest.fixture(scope='session')
def freihand_root(tmp_path_factory):
    """A tiny data set in FreiHAND's layout: 8 + 4 images of 64 px.

    Shared by the whole session: read it, do not write into it.
    """
    return write_freihand(tmp_path_factory.mktemp('freihand'))


@pytest.fixture(scope='session')
def studiohand_root(tmp_path_factory):
    """12 + 6 rendered hands of 64 px in FreiHAND's layout, to read only."""
    out = tmp_path_factory.mktemp('studiohand') / 'data'
    run_command(
        sys.executable,
        REPO_ROOT / 'tools/dataset_converters/make_studiohand.py',
        out,
        *('--num-train', 12, '--num-eval', 6, '--size', 64, '--quiet'),
        cwd=out.parent)
    return out


@pytest.fixture(scope='session')
def sdist(tmp_path_factory):
    """The source distribution of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp('sdist')
    # a copy: a build leaves files in its source tree
    source = folder / 'source'
    source.mkdir()
    for path in REPO_ROOT.iterdir():
        # no virtual environment, data or results
        if path.is_file():
            shutil.copy(path, source)
        elif path.name in ('.ci', '.dev_scripts', 'assets', 'benchmarks',
                           'configs', 'demo', 'docs', 'lgh_mmpose', 'tests',
                           'tools'):
            shutil.copytree(
                path,
                source / path.name,
                ignore=shutil.ignore_patterns('.mim', '__pycache__'))
    run_command(
        sys.executable,
        '-c',
        'from setuptools import build_meta; build_meta.build_sdist("../dist")',
        cwd=source)
    packed, = (folder / 'dist').glob('*.tar.gz')
    with tarfile.open(packed) as archive:
        archive.extractall(folder / 'unpacked')
    path, = (folder / 'unpacked').iterdir()
    return path


@pytest.fixture(scope='session')
def wheel(sdist, tmp_path_factory):
    """The wheel, built from the source distribution."""
    folder = tmp_path_factory.mktemp('wheel')
    run_command(
        *(sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-index'),
        *('--no-build-isolation', '--wheel-dir', folder, sdist),
        cwd=folder)
    path, = folder.glob('*.whl')
    return path


@pytest.fixture(scope='session')
def wheel_python(wheel, tmp_path_factory):
    """Python of an environment that has the wheel, and all else from here."""
    return make_environment(
        tmp_path_factory.mktemp('wheel_venv'), wheel,
        sysconfig.get_path('purelib'))


@pytest.fixture(scope='session')
def base_site_packages(wheel, tmp_path_factory):
    """What the base install brings beside the package: from the index."""
    folder = tmp_path_factory.mktemp('base')
    with zipfile.ZipFile(wheel) as archive:
        name, = (
            name for name in archive.namelist()
            if name.endswith('.dist-info/METADATA'))
        metadata = email.message_from_bytes(archive.read(name))
    requirements = [
        requirement for requirement in metadata.get_all('Requires-Dist')
        if 'extra ==' not in requirement
    ]
    python = make_environment(folder)
    run_command(
        *(sys.executable, '-m', 'pip', '--python', python, 'install'),
        *requirements,
        cwd=folder)
    return site_packages_of(python)


@pytest.fixture(scope='session')
def base_pythons(sdist, wheel, base_site_packages, tmp_path_factory):
    """Pythons that have the base install and nothing else, by its kind."""
    folder = tmp_path_factory.mktemp('base_venvs')
    # what pip does for `pip install -e .`
    source = folder / 'source'
    shutil.copytree(sdist, source)
    run_command(
        sys.executable,
        '-c', 'from setuptools import build_meta; '
        'build_meta.build_editable("../editable")',
        cwd=source)
    editable, = (folder / 'editable').glob('*.whl')
    return {
        kind: make_environment(folder / kind, package, base_site_packages)
        for kind, package in (('wheel', wheel), ('editable', editable))
    }


def make_environment(folder, package=None, more=None):
    """Make a virtual environment and return its Python.

    Args:
        folder: Where to make it.
        package: The wheel that it holds.
        more: Site-packages whose content can be imported, too.
    """
    venv.create(folder, with_pip=False)
    bin_dir = folder / ('Scripts' if os.name == 'nt' else 'bin')
    python = bin_dir / Path(sys.executable).name
    if not python.exists():
        python = bin_dir / 'python'
    if package is not None:
        run_command(
            *(sys.executable, '-m', 'pip', '--python', python, 'install'),
            *('--no-deps', '--no-index', '--no-compile', package),
            cwd=folder)
    if more is not None:
        # comes after the environment's own site-packages, so the wheel wins
        (site_packages_of(python) / 'more.pth').write_text(f'{more}\n')
    return python


def site_packages_of(python):
    return Path(
        subprocess.check_output([
            python, '-c',
            'import sysconfig; print(sysconfig.get_path("purelib"))'
        ],
                                text=True).strip())
