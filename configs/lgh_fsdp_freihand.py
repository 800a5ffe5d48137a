# lgh_freihand.py with everything that grows with the network divided among
# the processes (FSDP): for networks that do not fit as a whole
_base_ = ['./lgh_freihand.py', './_base_/strategies/fsdp.py']
