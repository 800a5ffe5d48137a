"""A network adapted to photographs of one's own, with 2D labels or none.

The method is self-training in rounds (Lee, "Pseudo-Label", ICML workshop 2013,
with the consensus of several views as in Radosavovic et al., "Data
Distillation", CVPR 2018): the network labels the photographs, and learns from
those labels on which several looks at a hand agree, beside rendered hands.
"""
