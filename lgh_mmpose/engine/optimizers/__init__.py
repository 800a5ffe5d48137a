from .conv_muon import ConvMuon

__all__ = ['ConvMuon']
