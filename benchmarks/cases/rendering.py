"""Cases of the renderer."""
from ..timing import Case


def render(size: int) -> Case:
    """One image of StudioHand, with its annotation, as one worker makes it.

    Args:
        size (int): Side of the image in pixels.
    """

    def setup():
        from lgh_mmpose.rendering import SceneGenerator
        scenes = SceneGenerator(0, 'training', size)
        state = dict(index=0)

        def call():
            state['index'] += 1
            return scenes.sample(state['index'] % 64)

        for _ in range(4):  # compiles, and reads what the scenes are made of
            call()
        return call

    return Case(setup)
