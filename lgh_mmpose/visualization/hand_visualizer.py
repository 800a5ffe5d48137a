"""2D and 3D hands, drawn by mmengine's visualization hooks."""
import os.path as osp
from typing import Any, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

from lgh_mmpose.fileio import fit_name, write_image

from ..inference.skeleton_2d import GT_COLOR_2D, draw_skeleton_2d, joint_colors
from .skeleton import (GT_COLOR_3D, VIEWS, add_axes_3d, draw_skeleton_3d,
                       figure_to_image, new_figure, set_view_3d)


@VISUALIZERS.register_module()
class HandLocalVisualizer(PoseLocalVisualizer):
    """Draw hands on the image and, beside it, in 3D.

    The image shows the 2D skeletons of prediction (coloured) and ground
    truth (white). To its right, each hand with ``keypoints_cam`` is seen in
    two views with equal axes, prediction coloured and ground truth grey, in
    the frame and unit of the prediction (see :class:`GroupedJointHead`).
    Small images are enlarged so that lines and joints stay distinct.

    Works wherever mmpose's own visualizer does: ``PoseVisualizationHook``,
    ``--show-dir`` and the inferencers.

    Args:
        name (str): Name of the instance. Defaults to ``'visualizer'``.
        color_by (str): ``'finger'``, or ``'group'`` to colour each joint by
            the group the model assigned it to. Groups are read from the data
            sample's metainfo ``joint_groups`` (K,), which the head writes, or
            else from :meth:`set_joint_groups`. Defaults to ``'finger'``.
        show_gt (bool): Whether to draw the ground truth even if
            ``add_datasample`` is called with ``draw_gt=False``:
            ``PoseVisualizationHook`` always does that. Defaults to ``True``.
        panel_size (int): Least height of the image and edge of a 3D view, in
            pixels. Defaults to 384.
        **kwargs: See ``PoseLocalVisualizer``. Colours of the skeleton are
            set by ``color_by``, not by ``kpt_color`` and ``link_color``.

    Raises:
        ValueError: If an argument is unknown, or ``color_by='group'`` meets
            a sample without groups.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 color_by: str = 'finger',
                 show_gt: bool = True,
                 panel_size: int = 384,
                 **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        if color_by not in ('finger', 'group'):
            raise ValueError("color_by must be 'finger' or 'group', "
                             f'got {color_by!r}')
        if panel_size < 64:
            raise ValueError(
                f'panel_size must be at least 64 pixels, got {panel_size}')
        self.color_by = color_by
        self.show_gt = show_gt
        self.panel_size = panel_size
        self.joint_groups: Optional[np.ndarray] = None
        # the last picture, the image it was drawn on, and whether with gt
        self._last: Tuple = (None, None, False)

    def set_joint_groups(self, joint_groups: Sequence[int]) -> None:
        """Set the groups for ``color_by='group'``.

        Args:
            joint_groups (Sequence[int]): Group of each joint, (K,), used for
                samples that carry none themselves.
        """
        self.joint_groups = np.asarray(joint_groups)

    def _joint_colors(self, data_sample: PoseDataSample) -> np.ndarray:
        names = self.dataset_meta.get('keypoint_id2name')
        if names is None:
            raise ValueError('the visualizer does not know the joints: call '
                             'set_dataset_meta with the metainfo of the data '
                             'set first')
        names = [names[i] for i in range(len(names))]
        if self.color_by == 'finger':
            return joint_colors(names)
        groups = data_sample.metainfo.get('joint_groups', self.joint_groups)
        if groups is None:
            raise ValueError(
                "color_by='group' needs the groups: the data sample has no "
                "metainfo 'joint_groups', so call set_joint_groups")
        return joint_colors(names, np.asarray(groups))

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: PoseDataSample,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       draw_heatmap: bool = False,
                       draw_bbox: bool = False,
                       show_kpt_idx: bool = False,
                       skeleton_style: str = 'mmpose',
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       kpt_thr: float = 0.3,
                       step: int = 0) -> np.ndarray:
        """Draw a data sample and show it, write it or pass it to backends.

        Args:
            name (str): The image identifier.
            image (np.ndarray): RGB image, uint8 (H, W, 3).
            data_sample (PoseDataSample): ``pred_instances`` and
                ``gt_instances`` with ``keypoints`` (N, K, 2) px and, for the
                3D views, ``keypoints_cam`` (N, K, 3).
            draw_gt (bool): Whether to draw the ground truth; see also
                ``show_gt`` of the class. Defaults to ``True``.
            draw_pred (bool): Whether to draw the prediction. Defaults to
                ``True``.
            draw_heatmap (bool): Whether to add the heat maps, overlaid on
                the image, if the sample has ``pred_fields``. Defaults to
                ``False``.
            draw_bbox (bool): Whether to draw bounding boxes. Defaults to
                ``False``.
            show_kpt_idx (bool): Whether to write the joints' indices.
                Defaults to ``False``.
            skeleton_style (str): Only ``'mmpose'``.
            show (bool): Whether to open a window. Defaults to ``False``.
            wait_time (float): Seconds until the window goes on by itself.
            out_file (str, optional): Image file to write. Defaults to
                ``None``: the picture goes to the visualization backends.
            kpt_thr (float): Predicted joints with a lower score are not
                drawn. Defaults to 0.3.
            step (int): Step for the backends. Defaults to 0.

        Returns:
            np.ndarray: The picture, RGB, uint8.
        """
        if skeleton_style != 'mmpose':
            raise ValueError("only skeleton_style='mmpose' can be drawn, "
                             f'got {skeleton_style!r}')
        if image is self._last[0]:
            # BadCaseAnalysisHook draws the prediction onto the picture it
            # got for the ground truth: start anew and draw both
            _, image, gt_drawn = self._last
            draw_gt = draw_gt or gt_drawn
        colors = self._joint_colors(data_sample)
        gt = self._hands(data_sample, 'gt_instances', draw_gt or self.show_gt,
                         0.5)
        pred = self._hands(data_sample, 'pred_instances', draw_pred, kpt_thr)

        columns = [
            self._draw_image(image, gt, pred, colors, draw_bbox, show_kpt_idx)
        ]
        if draw_heatmap and 'pred_fields' in data_sample:
            heatmap = self._draw_instance_heatmap(data_sample.pred_fields,
                                                  image)
            if heatmap is not None:
                columns.append(self._enlarge(heatmap)[0])
        columns += self._draw_views(gt, pred, colors, columns[0].shape[0])
        picture = np.concatenate(columns, axis=1)

        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            # the number at the end of the name stays
            folder, name = osp.split(out_file)
            write_image(picture,
                        osp.join(folder, fit_name(name[:-20], name[-20:])))
        elif not show:
            self.add_image(name, picture, step)
        self._last = (self.get_image(), image, draw_gt)
        return self.get_image()

    @staticmethod
    def _hands(data_sample: PoseDataSample, field: str, wanted: bool,
               kpt_thr: float) -> Optional[InstanceData]:
        """The instances to draw, with ``shown`` (N, K), or None."""
        if not wanted or field not in data_sample:
            return None
        instances = data_sample.get(field)
        # at inference gt_instances holds nothing but the boxes
        if 'keypoints' not in instances or not len(instances):
            return None
        instances = instances.cpu().numpy()
        scores = instances.get('keypoints_visible',
                               instances.get('keypoint_scores'))
        if scores is None:
            scores = np.ones(instances.keypoints.shape[:2])
        if scores.ndim == 3:  # (N, K, 2): visibility and weight
            scores = scores[..., 0]
        fields = dict(instances.items(), shown=scores >= kpt_thr)
        # where they lie in the crop, if that is the image
        fields['keypoints'] = fields.get('transformed_keypoints',
                                         fields['keypoints'])
        return InstanceData(**fields)

    def _enlarge(self, image: np.ndarray) -> Tuple[np.ndarray, float]:
        """The image, at least ``panel_size`` high, and its enlargement."""
        factor = max(1., self.panel_size / image.shape[0])
        if factor == 1:
            return image.copy(), 1.
        height, width = (int(round(factor * n)) for n in image.shape[:2])
        return cv2.resize(
            image, (width, height), interpolation=cv2.INTER_CUBIC), factor

    def _draw_image(self, image: np.ndarray, gt: Optional[InstanceData],
                    pred: Optional[InstanceData], colors: np.ndarray,
                    draw_bbox: bool, show_kpt_idx: bool) -> np.ndarray:
        canvas, factor = self._enlarge(image)

        def to_canvas(points: np.ndarray) -> np.ndarray:
            # pixel centres are at integers, so the edge is at -0.5
            return (np.asarray(points, dtype=float) + .5) * factor - .5

        links = self.skeleton or []
        width = max(1, int(self.line_width))
        for instances in (gt, pred):
            if instances is None:
                continue
            is_gt = instances is gt
            for keypoints, shown in zip(instances.keypoints, instances.shown):
                draw_skeleton_2d(
                    canvas,
                    to_canvas(keypoints[:, :2]),
                    links,
                    GT_COLOR_2D if is_gt else colors,
                    shown,
                    line_width=width if is_gt else width + 1,
                    radius=max(1,
                               int(self.radius) - is_gt),
                    outline=is_gt)
        for instances in (pred, gt):
            if instances is None:
                continue
            if draw_bbox and 'bboxes' in instances:
                self.set_image(canvas)
                self.draw_bboxes(
                    to_canvas(instances.bboxes.reshape(-1, 2)).reshape(-1, 4),
                    edge_colors=self.bbox_color,
                    alpha=self.alpha,
                    line_widths=width)
                canvas = self.get_image()
            if show_kpt_idx:
                for keypoints, shown in zip(instances.keypoints,
                                            instances.shown):
                    for k in np.flatnonzero(shown):
                        x, y = to_canvas(keypoints[k, :2])
                        cv2.putText(canvas, str(k), (int(x) + 3, int(y)),
                                    cv2.FONT_HERSHEY_SIMPLEX, .4,
                                    (255, 255, 255), 1, cv2.LINE_AA)
            break  # boxes and numbers once: the prediction's where it exists
        return canvas

    def _draw_views(self, gt: Optional[InstanceData],
                    pred: Optional[InstanceData], colors: np.ndarray,
                    height: int) -> List[np.ndarray]:
        """Columns of 3D views, each as high as the image."""
        gt, pred = (
            x if x is not None and 'keypoints_cam' in x else None
            for x in (gt, pred))
        num_hands = max(len(x) if x is not None else 0 for x in (gt, pred))
        if not num_hands:
            return []
        panels = [
            self._draw_hand_3d(
                *(x[i] if x is not None and i < len(x) else None
                  for x in (gt, pred)), colors) for i in range(num_hands)
        ]
        rows = max(1, height // self.panel_size)
        columns = []
        for start in range(0, num_hands, rows):
            column = np.full((height, panels[0].shape[1], 3), 255, np.uint8)
            for i, panel in enumerate(panels[start:start + rows]):
                top = i * self.panel_size
                column[top:top + self.panel_size] = panel
            columns.append(column)
        return columns

    def _draw_hand_3d(self, gt: Optional[InstanceData],
                      pred: Optional[InstanceData],
                      colors: np.ndarray) -> np.ndarray:
        """Two views of one hand, (panel_size, 2 * panel_size, 3)."""
        frame, units = 'camera', 'mm'
        if pred is not None:
            frame = str(pred.get('frame', [frame])[0])
            units = str(pred.get('units', [units])[0])
        hands = []
        if gt is not None and units == 'mm':
            xyz = gt.keypoints_cam[0]
            if frame == 'root' and pred is not None:
                # the root of a root-relative prediction is its origin
                root = np.linalg.norm(pred.keypoints_cam[0], axis=-1).argmin()
                xyz = xyz - xyz[root]
            hands.append((xyz, GT_COLOR_3D, gt.shown[0],
                          dict(line_width=1.2, radius=1.5, alpha=.75)))
        if pred is not None:
            hands.append((pred.keypoints_cam[0], colors, pred.shown[0],
                          dict(line_width=2.2, radius=3.)))
        seen = np.concatenate([xyz[shown] for xyz, _, shown, _ in hands])

        title = f'{frame} frame'
        unsure = 0 if pred is None else int((~pred.shown[0]).sum())
        if len(hands) == 2:
            both = hands[0][2] & hands[1][2]
            if both.any():
                error = np.linalg.norm(
                    (hands[0][0] - hands[1][0])[both], axis=-1).mean()
                title += f': mean error {error:.1f} mm, ground truth grey'
        elif pred is None:
            title += ', ground truth'
        if unsure:
            title += f'; {unsure} joints below kpt_thr hidden'
        size = self.panel_size
        figure = new_figure(2 * size, size)
        figure.suptitle(title, fontsize=9, y=.98)
        for i, (elev, azim) in enumerate(VIEWS):
            ax = add_axes_3d(figure, (i / 2, .02, .5, .92))
            for xyz, hand_colors, shown, style in hands:
                draw_skeleton_3d(ax, xyz, self.skeleton or [], hand_colors,
                                 shown, **style)
            set_view_3d(ax, seen, elev, azim, units)
        return figure_to_image(figure)
