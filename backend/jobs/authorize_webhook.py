"""RQ job: give the webhook that Label Studio makes for a backend the password that the backend asks for.

Label Studio itself sends name and password on all calls but the webhook's, which would be refused.
"""

from __future__ import annotations

import base64
import logging

from backend.jobs.context import job_context

logger = logging.getLogger(__name__)


def authorize_webhook(project_id: str, own_url: str) -> int:
    """Add the Authorization header to the project's webhooks that lead to `own_url`; return how many there were."""
    context = job_context()
    user, password = context.settings.basic_auth_user, context.settings.basic_auth_pass
    if context.client is None or user is None:
        logger.warning(
            "project %s: LABEL_STUDIO_URL, LABEL_STUDIO_API_KEY and BASIC_AUTH_USER are needed by the workers to let "
            "Label Studio's webhook in",
            project_id,
        )
        return 0
    value = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    signed = 0
    for hook in context.client.webhooks(project_id):
        headers = hook.get("headers") or {}
        if hook.get("url") == f"{own_url}/webhook" and headers.get("Authorization") != value:
            context.client.update_webhook(hook["id"], headers={**headers, "Authorization": value})
            signed += 1
    return signed
