from .hand_visualizer import HandLocalVisualizer

__all__ = ['HandLocalVisualizer']
