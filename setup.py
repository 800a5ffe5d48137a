"""Installs lgh_mmpose.

``pip install .`` brings what finds hands in pictures and films;
``pip install -e '.[openmmlab]'`` adds torch and mmpose, to train.
"""
import os
import os.path as osp
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py as _build_py
from setuptools.command.editable_wheel import editable_wheel as _editable_wheel

NAME = 'lgh_mmpose'
ROOT = osp.dirname(osp.abspath(__file__))

# what `mim` and the package itself look up in <package>/.mim
MIM_FILES = ('tools', 'benchmarks', 'configs', 'assets', 'model-index.yml')

# for lgh_mmpose.HandPose, on Python 3.9 and later, with NumPy 1 or 2
INSTALL_REQUIRES = [
    'numpy>=1.23',
    # OpenCV 5 warps otherwise: a crop differs by up to 3 grey levels; from
    # 4.12 on it asks for NumPy 2, and is 25 MB larger
    'opencv-python-headless>=4.5.4,<4.12',
    'onnxruntime',
    'tqdm',
]

# for training, and whatever else needs torch and mmpose: Python 3.9 to 3.11
WITHOUT_MMCV = [
    # mmpose, mmengine and mim import pkg_resources: gone from setuptools 82,
    # warned about from 80.9
    'setuptools>=64,<80.9',
    # the wheels of xtcocotools are built against NumPy 1
    'numpy<2',
    # mmpose asks for the former and this package for the latter. Both write
    # the folder cv2, so they must be of one version: whichever comes last
    'opencv-python==4.11.0.86',
    'opencv-python-headless==4.11.0.86',
    'pillow>=11.3',
    # mmpose's 3D visualizer draws with `tostring_rgb`, gone from 3.10
    'matplotlib<3.10',
    'torch>=2.6',  # from there on it loads checkpoints safely by default
    'torchvision',
    'mmengine>=0.10.7,<0.11',
    'mmpose==1.3.2',
    'xtcocotools>=1.14.3',
    # required by mmpose, which never imports it; from 0.67.5 it does not build
    'chumpy<0.67',
    'numba',
    'scipy',
    'mmdet==3.3.0',
    # the last one without openxlab, which pins an old setuptools
    'openmim==0.3.8',
]

# pictures that OpenCV does not read, or not as they should be; Pillow decodes
# AVIF from 11.3 on
IMAGES = ['pillow>=11.3', 'pi-heif']

TESTS = [
    'pytest>=7',
    'pytest-xdist',
    'pytest-timeout',
    'hypothesis',
    'supervision',  # takes what Hands gives
    'playwright',  # drives the machine's own Chromium
]

EXTRAS_REQUIRE = {
    # apart, because mmcv-lite would overwrite an installed full mmcv
    'openmmlab': ['mmcv-lite==2.1.0', *WITHOUT_MMCV],
    'openmmlab-without-mmcv': WITHOUT_MMCV,
    'images': IMAGES,  # WebP, GIF, TIFF, AVIF, HEIC and others
    'heif': IMAGES,  # another name of it
    # tools/deployment/export.py
    'deploy': ['onnx', 'onnxscript', 'openvino>=2024', 'nncf'],
    'report': ['plotly>=6', 'jinja2>=3'],  # tools/analysis_tools/report.py
    'web': ['gradio>=6', 'plotly>=6'],  # demo/web_demo.py
    'ablation': ['submitit', 'pyyaml'],  # tools/ablation.py
    # make_studiohand.py --executor slurm
    'cluster': ['submitit'],
    'docs': ['mkdocs-material', 'mkdocstrings[python]'],
    'tests': TESTS,
    'lint': ['ruff==0.9.10', 'isort==5.13.2', 'yapf==0.43.0'],
}
# all that the commands and the tests need
EXTRAS_REQUIRE['dev'] = sorted({
    requirement
    for extra in ('deploy', 'report', 'web', 'images', 'ablation', 'cluster',
                  'docs', 'tests', 'lint')
    for requirement in EXTRAS_REQUIRE[extra]
} | {'pre-commit'})


def read(path: str) -> str:
    with open(osp.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def get_version() -> str:
    namespace = {}
    exec(read(f'{NAME}/version.py'), namespace)
    return namespace['__version__']


def fill_mim(package_dir: str, link: bool) -> None:
    """Put ``MIM_FILES`` into ``package_dir/.mim``, as links or as copies."""
    mim = osp.join(package_dir, '.mim')
    # never a mix of links and copies, nor a leftover of another version
    shutil.rmtree(mim, ignore_errors=True)
    os.makedirs(mim)
    for name in MIM_FILES:
        source, target = osp.join(ROOT, name), osp.join(mim, name)
        if link:
            try:
                os.symlink(osp.relpath(source, mim), target)
                continue
            except OSError:  # Windows asks for a privilege
                pass
        if osp.isdir(source):
            shutil.copytree(
                source,
                target,
                ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))
        else:
            shutil.copyfile(source, target)


class build_py(_build_py):
    """Also provides the files for ``mim``."""

    def run(self) -> None:
        super().run()
        if getattr(self, 'editable_mode', False):
            fill_mim(osp.join(ROOT, NAME), link=True)
        else:
            fill_mim(osp.join(self.build_lib, NAME), link=False)


class editable_wheel(_editable_wheel):
    """Tells ``mim`` and mmengine where an editable package lies.

    They look in ``join(location, first line of top_level.txt)``, and the
    location of an editable install is site-packages, where the package is
    not. Joining an absolute path gives that path.
    """

    def _ensure_dist_info(self) -> None:
        super()._ensure_dist_info()
        top_level = osp.join(self.dist_info_dir, 'top_level.txt')
        with open(top_level, 'w', encoding='utf-8') as f:
            f.write(osp.join(ROOT, NAME) + '\n')


setup(
    name=NAME,
    version=get_version(),
    description='Learnable joint groups for 3D hand pose: a plugin of mmpose',
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=(NAME, f'{NAME}.*')),
    package_data={
        NAME: ['weights/*.md', 'weights/*/*'],
        f'{NAME}.evaluation': ['*.json'],
        f'{NAME}.models.losses': ['*.json'],
        f'{NAME}.report': ['templates/*'],
    },
    entry_points={
        'console_scripts': [
            f'lgh-hands = {NAME}.inference.command:main',
            f'lgh-adapt = {NAME}.adaptation.command:main',
        ]
    },
    cmdclass=dict(build_py=build_py, editable_wheel=editable_wheel),
    python_requires='>=3.9',
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    zip_safe=False)
