"""What the package costs and what it reaches, measured.

Programs, each with ``--help``:

- ``run.py``: time and memory of all that the package does, by cases;
- ``plot_performance.py``: the page docs/performance.md from its figures;
- ``training_speed.py``: trainings as they really run, in variants;
- ``compare_pipelines.py``: the pipeline that ships beside MediaPipe's;
- ``compare_mediapipe.py``: an exported network beside MediaPipe's;
- ``measure_assumptions.py``: what ``HandInferencer`` loses where it is told
  nothing of camera, bone length and side;
- ``measure_throughput.py``: pictures a second from file to JSON, by backend;
- ``measure_jitter.py``: how steadily ``HandInferencer`` follows a hand.

Behind ``run.py`` lie ``command`` (options), ``cases`` (what is measured, by
subject; ``cases.catalogue`` has all names), ``networks``, ``timing``,
``processes``, ``measuring`` (from cases to figures) and ``table``; behind
``plot_performance.py`` lies ``page``, behind ``compare_*.py`` ``worker``.
"""
