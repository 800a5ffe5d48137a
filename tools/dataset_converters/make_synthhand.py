"""SynthHand is rendered no more; says what is."""
raise SystemExit(
    'error: SynthHand is rendered no more. StudioHand has taken its place: '
    'tools/dataset_converters/make_studiohand.py, with the same options, and '
    'the configs lgh_studiohand*.py')
