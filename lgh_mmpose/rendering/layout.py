"""What an on-disk layout of StudioHand has to say of itself."""
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from .scene import SceneGenerator


class Layout(ABC):
    """On-disk layout of a data set.

    Attributes:
        name: Name of the layout.
        image_size: Side of the data set's images in pixels.
        folders: Folders of a split that hold one image per sample.
    """

    name: str
    image_size: int
    folders: Tuple[str, ...]

    def parameters(self) -> Dict[str, Any]:
        """Return what the parameters' file tells of the layout."""
        return {'layout': self.name}

    @abstractmethod
    def image_name(self, index: int) -> str:
        """Return the file name of an image."""

    @abstractmethod
    def annotation_files(self, split: str) -> Sequence[str]:
        """Return the other files of a split, relative to the data set."""

    def make_generator(self, **scene) -> Any:
        """Return what makes the samples of a split.

        Args:
            **scene: Arguments of the :class:`SceneGenerator`.
        """
        return SceneGenerator(**scene)

    @abstractmethod
    def make_sample(self, scenes: Any, index: int) -> Any:
        """Render a sample.

        Args:
            scenes: What :meth:`make_generator` gives.
            index: Index of the sample.
        """

    @abstractmethod
    def write_images(self, folder: Path, index: int, sample: Any) -> Any:
        """Write the images of a sample.

        Args:
            folder: Folder of the split.
            index: Number of its files.
            sample: What :meth:`make_sample` gives.

        Returns:
            Any: Its annotation, for :meth:`write_annotations`.
        """

    @abstractmethod
    def write_annotations(self, root: Path, split: str,
                          annotations: List[Any]) -> None:
        """Write the files of :meth:`annotation_files`."""
