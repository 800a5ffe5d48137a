"""Results of ablations as the bench writes them, with numbers of the tests."""


def result(**changes) -> dict:
    """A result of a toy plan, three joints in two groups."""
    return {
        **dict(
            plan='toy',
            variant='one',
            seed=0,
            settings='abc',
            base='base',
            budget=dict(samples=96),
            data=dict(training=96, evaluation=4, evaluation_joints='0'),
            samples=96,
            mpjpe_mm=20.,
            pa_mpjpe_mm=15.,
            joint_names=['wrist', 'thumb1', 'thumb2'],
            joint_mpjpe_mm=[10., 20., 30.],
            groups=[0, 1, 1],
            probabilities=[[.9, .1], [.2, .8], [.3, .7]],
            learned=True,
            curve=[[48, 30.], [96, 20.]],
            train_curve=[[16, 9.], [32, 7.]],
            params=1000000,
            gmacs=.1,
            cpu_seconds=10.,
            wall_seconds=11.),
        **changes
    }
