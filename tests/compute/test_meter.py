import time

import numpy as np

from huddle3d.compute import measure, peak_memory_mb


def test_measures_seconds():
    with measure() as m:
        time.sleep(0.05)
    assert 0.05 <= m.seconds < 5


def test_measures_the_peak_of_the_block():
    before = peak_memory_mb()
    with measure() as m:
        block = np.ones(40_000_000, np.float32)  # 153 MiB, touched
        assert block.sum() > 0
    assert m.peak_mb > 150
    assert m.peak_mb >= min(before, 150)


def test_result_is_filled_when_the_block_fails():
    try:
        with measure() as m:
            raise RuntimeError
    except RuntimeError:
        pass
    assert m.seconds > 0
