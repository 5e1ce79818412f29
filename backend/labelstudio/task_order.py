"""The order in which Label Studio's label stream offers a project's tasks, and the predictions that it shows in it.

Uncertainty sampling looks at predictions of exactly `project.model_version` only. The usual value, the title of the
connected backend, is the version of no prediction, and Label Studio then picks at random without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.storage.models import is_version_of
from backend.storage.policies import Sampling

IN_LABEL_STUDIO = {
    Sampling.UNCERTAINTY: "Uncertainty sampling",
    Sampling.SEQUENTIAL: "Sequential sampling",
    Sampling.UNIFORM: "Uniform sampling",
}


def project_changes(
    project: Mapping[str, Any], project_id: str, version: str, sampling: Sampling, title: str | None
) -> dict[str, str]:
    """What of a project has to be set, now that the tasks have predictions of `version`; {} where all is well.

    A project that shows one version of ours is to show this one. One that shows what the backend predicts, somebody
    else's predictions or none stays as it is, unless its tasks are to come by uncertainty.

    Args: sampling: a policy's. title: of our backend, None where there is none.
    """
    shown = str(project.get("model_version") or "")
    wanted = {"sampling": IN_LABEL_STUDIO[sampling]} if sampling else {}
    if sampling == Sampling.UNCERTAINTY:
        wanted["model_version"] = version
    elif is_version_of(shown, project_id):
        wanted["model_version"] = title if sampling and title else version
    return {name: value for name, value in wanted.items() if project.get(name) != value}
