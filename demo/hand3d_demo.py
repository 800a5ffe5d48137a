"""The command ``lgh-hands`` from a checkout; see ``--help``.

    python demo/hand3d_demo.py photo.jpg --config CONFIG --checkpoint FILE \\
        --out-dir pictures --json hands.jsonl
"""
from lgh_mmpose.inference.command import main

if __name__ == '__main__':
    main(prog=None)
