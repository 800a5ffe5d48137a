"""The former renderer, which nothing but ``rendering.scene`` is to use."""
# ruff: noqa: F401
from .pose_sampler import POSE_KINDS, POSE_LIMITS, sample_hand
from .rig import HandRig
from .scene import (DIFFICULTIES, PlacedHand, SceneGenerator, SyntheticSample,
                    place_hand)
