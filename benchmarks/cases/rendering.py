"""Cases of the renderer."""
from ..timing import Case


def render(difficulty: str) -> Case:
    """One image of StudioHand, 224 x 224, with its annotation."""

    def setup():
        from lgh_mmpose.rendering import SceneGenerator
        scenes = SceneGenerator(0, 'training', 224, difficulty)
        state = dict(index=0)

        def call():
            state['index'] += 1
            return scenes.sample(state['index'] % 32)

        for _ in range(4):  # compiles, and reads the backgrounds
            call()
        return call

    return Case(setup)
