from .ge_hourglass import GeHourglass

__all__ = ['GeHourglass']
