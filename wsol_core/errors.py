"""The errors of wsol_core. Each message names the thing, the value and the next step.

WsolError
├── ConfigError                  a setting or an argument has no meaning
│   ├── TrainingExistsError      the model folder holds a training already
│   └── ExportExistsError        the folder holds an export already
├── DataError                    images, labels or annotations cannot be used
├── WeightsError                 pretrained weights are missing or do not fit
├── CheckpointError              a checkpoint or model folder is missing, torn or of another run
│   ├── MissingCheckpointError   there is nothing to resume
│   └── UnfinishedTrainingError  the model folder's training has not finished
├── StorageError                 a file could not be written (disk full, no permission)
└── TrainingCancelled            the caller asked to stop; the last checkpoint is intact
"""


class WsolError(Exception):
    """Base of every error that wsol_core raises on purpose; `str(error)` is written for the user."""


class ConfigError(WsolError):
    """A setting or an argument has no meaning."""


class TrainingExistsError(ConfigError):
    """The model folder holds a training already."""


class ExportExistsError(ConfigError):
    """The folder holds an export already."""


class DataError(WsolError):
    """Images, labels or annotations cannot be used."""


class WeightsError(WsolError):
    """Pretrained weights are missing or do not fit."""


class CheckpointError(WsolError):
    """A checkpoint or model folder is missing, torn or belongs to another run."""


class MissingCheckpointError(CheckpointError):
    """There is nothing to resume."""


class UnfinishedTrainingError(CheckpointError):
    """The model folder's training has not finished."""


class StorageError(WsolError):
    """A file could not be written. `is_full`: room is all that is missing."""

    def __init__(self, message: str, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_full = is_full


class TrainingCancelled(WsolError):
    """The caller asked to stop; the last checkpoint is intact."""
