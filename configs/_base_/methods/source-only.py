# Nothing is launched: Faster R-CNN on source alone.
#
# Any config of iFAN becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/source-only.py']
#     default_hooks = _base_.launches
launches = dict(late_launch=dict(launch=dict(_delete_=True)))
